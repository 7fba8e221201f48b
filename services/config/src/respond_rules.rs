//! The route by which a source's sender is answered: there is one at most.

use hookrail_domain::ids::SourceId;
use hookrail_domain::route::RouteSpec;
use hookrail_domain::validation::FieldError;
use hookrail_store::sea_orm::ConnectionTrait;
use hookrail_store::{DefinitionRow, DefinitionTable, definition_rows, definition_uses};

use crate::definition::read_spec;
use crate::error::ApiError;

/// Refuses a route that would answer a source's sender beside another one, whichever is saved last.
/// `own_id` is the route's, where it is stored already.
pub(crate) async fn check_only_one<C: ConnectionTrait>(
    connection: &C,
    workspace_id: &str,
    own_id: Option<&str>,
    route: &RouteSpec,
) -> Result<(), ApiError> {
    let Some(source) = route.source.filter(|_| answers(route)) else {
        return Ok(());
    };
    let others = answering(connection, workspace_id, source).await?;
    match others.iter().find(|other| Some(other.id.as_str()) != own_id) {
        None => Ok(()),
        Some(other) => {
            let detail = format!(
                "the source's sender is answered by the route {} ({}) already",
                other.name, other.id
            );
            Err(ApiError::Invalid(vec![FieldError::new("/respond", detail)]))
        }
    }
}

/// The enabled routes by which a source's sender is answered.
pub(crate) async fn answering<C: ConnectionTrait>(
    connection: &C,
    workspace_id: &str,
    source: SourceId,
) -> Result<Vec<DefinitionRow>, ApiError> {
    let mut found = Vec::new();
    for id in definition_uses::users_of(connection, &source.to_string()).await? {
        let row = definition_rows::find(connection, DefinitionTable::Routes, workspace_id, &id).await?;
        let Some(row) = row else { continue };
        let spec: RouteSpec = read_spec(&row)?;
        if answers(&spec) && spec.source == Some(source) {
            found.push(row);
        }
    }
    Ok(found)
}

fn answers(route: &RouteSpec) -> bool {
    route.enabled && route.respond
}
