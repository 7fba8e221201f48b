//! What has to hold between sources, destinations, routes and syncs, whichever is saved last.

use hookrail_domain::body_rules;
use hookrail_domain::destination::{DestinationMethod, DestinationOrdering, DestinationSpec};
use hookrail_domain::ids::{SourceId, SyncId};
use hookrail_domain::ordering;
use hookrail_domain::route::RouteSpec;
use hookrail_domain::source::SourceSpec;
use hookrail_domain::sync::SyncSpec;
use hookrail_domain::validation::FieldError;
use hookrail_store::sea_orm::ConnectionTrait;
use hookrail_store::{DefinitionRow, definition_rows, definition_uses, unsettled_deliveries};

use crate::definition::{Definable, Stored, read_spec};
use crate::error::{ApiError, Conflict};

/// Checks a source's new fields against the routes that start at it.
pub(crate) async fn check_source<C: ConnectionTrait>(
    connection: &C,
    row: &DefinitionRow,
    source: &SourceSpec,
) -> Result<(), ApiError> {
    for route in using::<C, RouteSpec>(connection, row).await? {
        let id = route.destination.map(|id| id.to_string()).unwrap_or_default();
        if let Some(destination) =
            Stored::<DestinationSpec>::look_up(connection, &row.workspace_id, &id).await?
        {
            check_order(source, &destination.spec)?;
        }
    }
    Ok(())
}

/// Checks a destination's new fields against the routes and the syncs that end at it.
pub(crate) async fn check_destination<C: ConnectionTrait>(
    connection: &C,
    row: &DefinitionRow,
    destination: &DestinationSpec,
) -> Result<(), ApiError> {
    if destination.method == DestinationMethod::Get {
        for sync in using::<C, SyncSpec>(connection, row).await? {
            check_query(&sync)?;
        }
    }
    for route in using::<C, RouteSpec>(connection, row).await? {
        if let Some(misfit) = body_rules::check_route(&route, destination) {
            return Err(ApiError::Invalid(vec![misfit.in_destination(&route.name)]));
        }
        let id = route.source.map(|id| id.to_string()).unwrap_or_default();
        if let Some(source) = Stored::<SourceSpec>::look_up(connection, &row.workspace_id, &id).await? {
            check_order(&source.spec, destination)?;
        }
    }
    Ok(())
}

/// Checks a route: both its ends are there, and fit.
pub(crate) async fn check_route<C: ConnectionTrait>(
    connection: &C,
    workspace_id: &str,
    route: &RouteSpec,
) -> Result<(), ApiError> {
    let mut errors = Vec::new();
    let source = end::<C, SourceSpec>(
        connection,
        workspace_id,
        route.source.map(|id| id.to_string()),
        &mut errors,
    )
    .await?;
    let wanted = route.destination.map(|id| id.to_string());
    let destination = end::<C, DestinationSpec>(connection, workspace_id, wanted, &mut errors).await?;
    if !errors.is_empty() {
        return Err(ApiError::Invalid(errors));
    }
    if let Some(destination) = &destination
        && let Some(misfit) = body_rules::check_route(route, destination)
    {
        return Err(ApiError::Invalid(vec![misfit.in_route(&destination.name)]));
    }
    match (source, destination) {
        (Some(source), Some(destination)) => check_order(&source, &destination),
        _ => Ok(()),
    }
}

/// Refuses to go on where something uses the definition, and says what.
pub(crate) async fn refuse_if_used<C: ConnectionTrait>(
    connection: &C,
    row: &DefinitionRow,
) -> Result<(), ApiError> {
    let mut users = Vec::new();
    for id in definition_uses::users_of(connection, &row.id).await? {
        let (table, what) = match id.parse::<SourceId>() {
            Ok(_) => (SourceSpec::TABLE, SourceSpec::WHAT),
            Err(_) if id.parse::<SyncId>().is_ok() => (SyncSpec::TABLE, SyncSpec::WHAT),
            Err(_) => (RouteSpec::TABLE, RouteSpec::WHAT),
        };
        let user = definition_rows::find(connection, table, &row.workspace_id, &id).await?;
        let name = user.map(|user| user.name);
        users.push(serde_json::json!({"type": what, "id": id, "name": name}));
    }
    if users.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "{} is used by {} of the workspace's definitions",
        row.name,
        users.len()
    );
    Err(ApiError::Conflict(Conflict {
        code: "in-use",
        detail,
        users,
    }))
}

/// Refuses to send a sync's records as queries in which two members have one name.
fn check_query(sync: &SyncSpec) -> Result<(), ApiError> {
    let Some(clash) = sync.clash_in_query() else {
        return Ok(());
    };
    let detail = format!(
        "two members of the sync {} would both be the query parameter {clash}",
        sync.name
    );
    Err(ApiError::field("/method", detail))
}

fn check_order(source: &SourceSpec, destination: &DestinationSpec) -> Result<(), ApiError> {
    ordering::check_route(source, destination).map_err(|error| ApiError::Invalid(vec![error]))
}

/// One end of a route; where it is named and not there, that is a fault of the field of its name.
async fn end<C: ConnectionTrait, S: Definable>(
    connection: &C,
    workspace_id: &str,
    id: Option<String>,
    errors: &mut Vec<FieldError>,
) -> Result<Option<S>, ApiError> {
    let Some(id) = id else { return Ok(None) };
    let found = Stored::<S>::look_up(connection, workspace_id, &id).await?;
    if found.is_none() {
        let detail = format!("the workspace has no {} {id}", S::WHAT);
        errors.push(FieldError::new(format!("/{}", S::WHAT), detail));
    }
    Ok(found.map(|stored| stored.spec))
}

/// The definitions of a kind that use another one: routes their ends, syncs their destination.
pub(crate) async fn using<C: ConnectionTrait, S: Definable>(
    connection: &C,
    used: &DefinitionRow,
) -> Result<Vec<S>, ApiError> {
    let mut users = Vec::new();
    for id in definition_uses::users_of(connection, &used.id).await? {
        let found = definition_rows::find(connection, S::TABLE, &used.workspace_id, &id).await?;
        users.extend(found.map(|row| read_spec::<S>(&row)).transpose()?);
    }
    Ok(users)
}

/// Refuses to change what a destination's lanes are while deliveries wait in them: some of a key would
/// be in one lane and some in another.
pub(crate) async fn check_pending<C: ConnectionTrait>(
    connection: &C,
    row: &DefinitionRow,
    before: &DestinationSpec,
    after: &DestinationSpec,
) -> Result<(), ApiError> {
    let same_lanes = before.ordering == after.ordering && before.spread == after.spread;
    if same_lanes {
        Ok(())
    } else {
        refuse_if_pending(connection, &row.id).await
    }
}

/// The same for a route's ordering key, where its destination is an ordered one.
pub(crate) async fn check_pending_route<C: ConnectionTrait>(
    connection: &C,
    workspace_id: &str,
    before: &RouteSpec,
    after: &RouteSpec,
) -> Result<(), ApiError> {
    let Some(id) = after.destination.map(|id| id.to_string()) else {
        return Ok(());
    };
    let same_lanes = before.ordering_key == after.ordering_key || before.destination != after.destination;
    let destination = Stored::<DestinationSpec>::look_up(connection, workspace_id, &id).await?;
    let is_ordered = destination.is_some_and(|found| found.spec.ordering != DestinationOrdering::None);
    if same_lanes || !is_ordered {
        Ok(())
    } else {
        refuse_if_pending(connection, &id).await
    }
}

async fn refuse_if_pending<C: ConnectionTrait>(connection: &C, destination_id: &str) -> Result<(), ApiError> {
    if unsettled_deliveries::exist(connection, destination_id).await? {
        let detail = "deliveries to the destination are not settled yet, and their order would be lost";
        return Err(ApiError::conflict("pending-deliveries", detail));
    }
    Ok(())
}
