//! The end-to-end suite: every scenario runs against `hookrail up` and against the four services on
//! PostgreSQL, black box, as a user would.

#[path = "suite/backups.rs"]
mod backups;
#[path = "suite/bad_input.rs"]
mod bad_input;
#[path = "suite/bodies.rs"]
mod bodies;
#[path = "suite/command_line.rs"]
mod command_line;
#[path = "suite/commands.rs"]
mod commands;
#[path = "suite/deaths.rs"]
mod deaths;
#[path = "suite/definitions.rs"]
mod definitions;
#[path = "suite/delivery.rs"]
mod delivery;
#[path = "suite/entities.rs"]
mod entities;
#[path = "suite/entity_store.rs"]
mod entity_store;
#[path = "suite/fetchers.rs"]
mod fetchers;
#[path = "suite/fixtures.rs"]
mod fixtures;
#[path = "suite/imports.rs"]
mod imports;
#[path = "suite/knowing.rs"]
mod knowing;
#[path = "suite/openapi.rs"]
mod openapi;
#[path = "suite/operations.rs"]
mod operations;
#[path = "suite/outbound.rs"]
mod outbound;
#[path = "suite/parking.rs"]
mod parking;
#[path = "suite/pausing.rs"]
mod pausing;
#[path = "suite/payloads.rs"]
mod payloads;
#[path = "suite/planted.rs"]
mod planted;
#[path = "suite/real_senders.rs"]
mod real_senders;
#[path = "suite/replays.rs"]
mod replays;
#[path = "suite/respond.rs"]
mod respond;
#[path = "suite/rows.rs"]
mod rows;
#[path = "suite/senders.rs"]
mod senders;
#[path = "suite/shapes.rs"]
mod shapes;
#[path = "suite/signatures.rs"]
mod signatures;
#[path = "suite/syncs.rs"]
mod syncs;

use std::{pin::Pin, sync::Arc};

use hookrail_harness::{Stack, create_database, install_tls_provider};
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use tokio::runtime::Runtime;

type Scenario = fn(Arc<Stack>) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

macro_rules! scenarios {
    ($($module:ident: $($name:ident),+;)+) => {
        &[$($((concat!(stringify!($module), "::", stringify!($name)), |stack| Box::pin($module::$name(stack)))),+),+]
    };
}

/// Scenarios that run beside each other.
const SCENARIOS_AT_ONCE: usize = 4;

const SCENARIOS: &[(&str, Scenario)] = scenarios! {
    senders: a_github_push_reaches_a_receiver_that_verifies_it,
        a_mattermost_post_becomes_an_entity,
        a_shopify_order_keeps_every_digit,
        an_array_of_objects_becomes_as_many_entities,
        a_form_with_nested_names_becomes_an_entity,
        one_and_two_hundred_notifications_of_a_soap_message_become_entities;
    rows: an_inbound_source_with_a_live_stream,
        an_inbound_and_outbound_connection,
        webhook_settings_of_an_admin,
        a_webhook_trigger,
        a_sync_to_a_webhook_destination;
    entities: an_update_of_the_same_object_updates_the_entity,
        a_filter_leaves_events_out_and_says_so,
        a_payload_without_the_id_fails_and_the_source_warns;
    fetchers: a_thousand_ids_end_in_their_newest_state_and_in_order,
        a_burst_about_one_entity_costs_few_calls,
        fetches_survive_the_death_of_who_makes_them,
        answers_that_give_no_entity_are_told_and_mended,
        an_entity_that_its_api_has_no_more_is_deleted_or_marked;
    entity_store: a_deleted_entity_is_told_of_stays_away_and_keeps_its_history,
        entities_and_their_events_are_found_by_what_they_have;
    delivery: a_failed_delivery_is_tried_again_and_its_key_waits,
        keys_do_not_wait_for_each_other,
        the_raw_format_sends_the_bytes_as_received,
        deliveries_and_attempts_can_be_looked_at,
        a_redirect_is_not_followed;
    parking: a_failing_destination_holds_up_no_other_and_loses_nothing,
        unordered_deliveries_wait_for_a_dead_destination_too,
        deliveries_of_a_disabled_destination_wait;
    pausing: a_paused_source_holds_and_goes_on_in_order_though_its_processor_is_killed,
        a_paused_route_holds_and_goes_on_in_order_though_its_dispatcher_is_killed;
    backups: what_waits_in_a_backup_is_delivered_by_what_is_made_of_it;
    command_line: definitions_are_made_as_a_file_says_and_no_more_is_changed,
        daily_work_is_done_from_a_terminal,
        a_developer_gets_the_webhooks_of_a_source;
    commands: a_held_lane_waits_for_a_person_and_others_do_not,
        a_skipped_head_is_dead_and_can_be_sent_again,
        what_waits_is_sent_now_when_a_person_says_so,
        what_is_cancelled_is_never_sent,
        a_rate_limit_is_kept,
        a_spread_destination_keeps_its_order_and_lists_all_its_lanes,
        a_held_lane_survives_a_restart;
    deaths: a_death_is_told_once_and_never_of_what_tells_it,
        a_receiver_that_is_gone_is_told_of,
        dead_letters_go_when_their_time_is_up,
        a_destination_that_fills_its_share_loses_nothing_of_others;
    replays: dead_ordered_deliveries_are_sent_once_more_and_in_order,
        a_replay_goes_on_after_its_worker_was_killed,
        failed_events_are_mended_after_the_mapping_was_corrected,
        a_past_delivery_is_sent_again_by_its_id,
        a_replay_stops_when_it_is_cancelled,
        replays_that_can_not_be_meant_are_refused_by_field;
    respond: a_caller_gets_what_the_destination_answers,
        every_event_has_its_answer,
        a_caller_that_has_gone_asks_later,
        a_repetition_has_the_first_one_s_answer,
        a_lane_that_waits_keeps_no_caller_waiting,
        a_caller_of_what_is_paused_has_its_answer_later,
        a_query_endpoint_answers_from_a_rest_server,
        an_answer_survives_the_death_of_both_ends;
    definitions: a_source_without_ordering_can_not_feed_an_ordered_destination,
        a_change_is_in_force_soon,
        an_api_key_lets_its_sender_in_and_nobody_else,
        a_destination_that_does_not_answer_is_refused,
        a_disabled_source_keeps_its_url;
    knowing: passwords_and_tokens_let_in_and_are_never_shown,
        ways_to_authenticate_that_can_not_be_meant_are_refused_by_field,
        addresses_and_rates_are_kept_to;
    openapi: requests_made_from_the_document_are_answered_as_it_says;
    planted: a_planted_secret_is_found_nowhere;
    bad_input: definitions_are_refused_by_field,
        bodies_that_are_not_what_they_say_are_refused,
        requests_that_break_the_conventions_are_refused;
    signatures: a_forged_webhook_is_refused_and_its_owner_is_told_why,
        a_secret_is_rotated_without_a_gap,
        handshakes_are_answered_and_are_no_events;
    payloads: real_payloads_come_out_byte_for_byte,
        json_is_taken_and_refused_as_the_test_suite_says;
    real_senders: github_events_become_the_entities_that_an_independent_reading_finds,
        payloads_of_many_senders_become_the_entities_that_an_independent_reading_finds;
    bodies: a_body_of_32_mib_goes_all_the_way,
        a_large_body_survives_kills,
        bodies_of_every_kind_become_data,
        a_repetition_is_told_from_a_new_event;
    shapes: receivers_get_what_they_want;
    outbound: every_format_goes_by_every_method_with_every_credential,
        a_probe_says_what_happened,
        event_types_of_one_s_own_are_kept_to,
        signatures_verify_while_a_secret_is_rotated;
    imports: an_import_loads_every_line_once_though_its_worker_is_killed,
        an_import_waits_for_its_source_and_can_be_stopped,
        rules_are_tried_before_they_are_saved,
        every_outcome_is_counted_and_mending_ends_the_warning;
    syncs: each_mode_tells_what_it_means,
        a_table_is_mirrored_though_its_worker_is_killed,
        syncs_that_can_not_be_meant_are_refused_by_field;
    operations: services_tell_that_they_live_and_what_they_count,
        one_trace_goes_from_request_to_attempt;
};

fn main() {
    let mut arguments = Arguments::from_args();
    // They wait for one another's processes more than they compute.
    arguments.test_threads.get_or_insert(SCENARIOS_AT_ONCE);
    let runtime = Runtime::new().expect("a runtime can be made");
    install_tls_provider();
    // The stacks are dropped, and their processes killed, before this process ends.
    let ended = if arguments.list {
        Ok(run(&arguments, &runtime, Vec::new()))
    } else {
        start_stacks(&runtime).map(|stacks| run(&arguments, &runtime, stacks))
    };
    match ended {
        Ok(conclusion) => conclusion.exit(),
        Err(error) => {
            say(&format!("the product did not start: {error:?}"));
            std::process::exit(101);
        }
    }
}

type Stacks = Vec<(&'static str, Arc<Stack>)>;

fn start_stacks(runtime: &Runtime) -> anyhow::Result<Stacks> {
    let mut stacks = vec![("up", Arc::new(runtime.block_on(Stack::up())?))];
    match create_database("hookrail_e2e")? {
        Some(url) => stacks.push(("four", Arc::new(runtime.block_on(Stack::four(url))?))),
        None => {
            say("SKIPPED: the four services, since HOOKRAIL_TEST_POSTGRES_URL names no PostgreSQL server")
        }
    }
    Ok(stacks)
}

fn run(arguments: &Arguments, runtime: &Runtime, stacks: Stacks) -> Conclusion {
    let mut trials = Vec::new();
    for (kind, stack) in stacks {
        for (name, scenario) in SCENARIOS {
            let (stack, handle) = (Arc::clone(&stack), runtime.handle().clone());
            trials.push(Trial::test(format!("{kind}::{name}"), move || {
                let result = handle.block_on(scenario(stack));
                // The causes, and no backtrace: what CI shows of a failure is its end.
                result.map_err(|error| Failed::from(format!("{error:#}")))
            }));
        }
    }
    libtest_mimic::run(arguments, trials)
}

#[expect(clippy::print_stderr, reason = "a test runner talks to its terminal")]
fn say(text: &str) {
    eprintln!("{text}");
}
