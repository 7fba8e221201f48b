//! Every path of the service.

use actix_web::middleware::from_fn;
use actix_web::web;
use utoipa::OpenApi;

use crate::authenticated::authenticate;
use crate::{
    audit, connections, console, deliveries, delivery_commands, destination_tests, destinations, entities,
    entity_deletion, entity_history, event_response, event_types, events, fetcher_tests, fetchers, imports,
    lanes, openapi, own_event_types, posted_events, preview, rekey, replays, routes, secret_rotation,
    signature_schemes, source_keys, source_status, sources, stats, sync_runs, syncs, test_events, tokens,
    workspaces,
};

/// `/`, `/api/openapi.json` and, with a token, `/api/v1/…`.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/")
                .route(web::get().to(console::serve))
                .route(web::head().to(console::serve)),
        )
        .service(
            web::resource("/api/openapi.json")
                .route(web::get().to(openapi::serve))
                .route(web::head().to(openapi::serve)),
        )
        .service(
            web::scope("/api/v1")
                .wrap(from_fn(authenticate))
                .configure(resources),
        );
}

/// Below `/api/v1`. Each file says its own paths; the first that fits is taken.
fn resources(config: &mut web::ServiceConfig) {
    config
        // /sources, /sources/{id}, /sources/{id}/api-keys[/{key_id}]
        .configure(sources::configure)
        .configure(source_keys::configure)
        // /destinations/test and /destinations/{id}/test, before /destinations/{id}
        .configure(destination_tests::configure)
        .configure(destinations::configure)
        // /sources|destinations/{id}/secrets[/{secret_id}]
        .configure(secret_rotation::configure)
        .configure(signature_schemes::configure)
        .configure(routes::configure)
        // /fetchers/test and /fetchers/{id}/test, before /fetchers/{id}
        .configure(fetcher_tests::configure)
        .configure(fetchers::configure)
        .configure(event_types::configure)
        .configure(workspaces::configure)
        .configure(tokens::configure)
        .configure(audit::configure)
        .configure(stats::configure)
        .configure(rekey::configure)
        // what came in, what became of it, and what went out
        .configure(event_response::configure)
        .configure(events::configure)
        .configure(entities::configure)
        .configure(deliveries::configure)
        // /deliveries/{id}/retry|cancel, /destinations/{id}/lanes[/{lane_id}/retry|skip]
        .configure(delivery_commands::configure)
        .configure(lanes::configure)
        .configure(replays::configure)
        // /sources/{id}/import, /imports[/{id}[/cancel]]
        .configure(imports::configure)
        .configure(connections::configure)
        // /syncs[/{id}], /syncs/{id}/runs, /runs/{id}[/cancel]
        .configure(syncs::configure)
        .configure(sync_runs::configure)
        // /sources/{id}/status|rejections|preview|test-events
        .configure(source_status::configure)
        .configure(preview::configure)
        .configure(test_events::configure);
}

/// The documents of the same files.
pub(crate) fn documents() -> Vec<utoipa::openapi::OpenApi> {
    vec![
        sources::Docs::openapi(),
        source_keys::Docs::openapi(),
        destination_tests::Docs::openapi(),
        destinations::Docs::openapi(),
        secret_rotation::Docs::openapi(),
        signature_schemes::Docs::openapi(),
        routes::Docs::openapi(),
        fetcher_tests::Docs::openapi(),
        fetchers::Docs::openapi(),
        event_types::Docs::openapi(),
        own_event_types::Docs::openapi(),
        workspaces::Docs::openapi(),
        tokens::Docs::openapi(),
        audit::Docs::openapi(),
        stats::Docs::openapi(),
        rekey::Docs::openapi(),
        event_response::Docs::openapi(),
        events::Docs::openapi(),
        posted_events::Docs::openapi(),
        entities::Docs::openapi(),
        entity_deletion::Docs::openapi(),
        entity_history::Docs::openapi(),
        deliveries::Docs::openapi(),
        delivery_commands::Docs::openapi(),
        lanes::Docs::openapi(),
        replays::Docs::openapi(),
        imports::Docs::openapi(),
        connections::Docs::openapi(),
        syncs::Docs::openapi(),
        sync_runs::Docs::openapi(),
        source_status::Docs::openapi(),
        preview::Docs::openapi(),
        test_events::Docs::openapi(),
    ]
}
