//! What has to hold between fetchers and the sources that use them, whichever is saved last.

use hookrail_domain::entity::UniqueId;
use hookrail_domain::fetcher::FetcherSpec;
use hookrail_domain::source::SourceSpec;
use hookrail_domain::validation::FieldError;
use hookrail_store::sea_orm::ConnectionTrait;

use crate::definition::Stored;
use crate::error::ApiError;
use crate::route_rules;

/// Checks a source: its fetcher is there, gives entities of its type, and asks with ids like its own.
pub(crate) async fn check_source<C: ConnectionTrait>(
    connection: &C,
    workspace_id: &str,
    source: &SourceSpec,
) -> Result<(), ApiError> {
    let Some(rules) = &source.entity else {
        return Ok(());
    };
    let Some(id) = rules.fetcher.map(|id| id.to_string()) else {
        return Ok(());
    };
    let Some(found) = Stored::<FetcherSpec>::look_up(connection, workspace_id, &id).await? else {
        let detail = format!("the workspace has no fetcher {id}");
        return Err(ApiError::field("/entity/fetcher", detail));
    };
    let fetcher = found.spec;
    let mut errors = Vec::new();
    if fetcher.entity_type != rules.entity_type {
        let detail = format!(
            "the fetcher {} gives entities of the type {}",
            fetcher.name, fetcher.entity_type
        );
        errors.push(FieldError::new("/entity/type", detail));
    }
    if parts(&fetcher.unique_id) != parts(&rules.unique_id) {
        let detail = format!(
            "has to be written as the fetcher's is: {}",
            parts(&fetcher.unique_id)
                .map_or_else(|| "one path".to_owned(), |n| format!("a list of {n} paths"))
        );
        errors.push(FieldError::new("/entity/unique_id", detail));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(ApiError::Invalid(errors)),
    }
}

/// Refuses to change what its sources rely on.
pub(crate) async fn check_change<C: ConnectionTrait>(
    connection: &C,
    before: &Stored<FetcherSpec>,
    after: &FetcherSpec,
) -> Result<(), ApiError> {
    let same_type = before.spec.entity_type == after.entity_type;
    if same_type && parts(&before.spec.unique_id) == parts(&after.unique_id) {
        return Ok(());
    }
    route_rules::refuse_if_used(connection, &before.row).await
}

/// Of how many parts an id is a list; `None` = it is none.
fn parts(unique_id: &UniqueId) -> Option<usize> {
    match unique_id {
        UniqueId::One(_) => None,
        UniqueId::Many(paths) => Some(paths.len()),
    }
}
