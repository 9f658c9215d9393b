//! The conformance suite: every promise of storage as a case that any dialect must pass. A bug fixed in one dialect
//! starts with a new case here. Run it with [`conformance!`](crate::conformance!) over a function that makes a fresh
//! [`Subject`]; behind the cargo feature `conformance`, because cases fail by panicking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a case fails by panicking"
)]

pub mod api_keys;
pub mod audit;
pub mod backup;
pub mod events;
pub mod idempotency;
pub mod messages;
pub mod otp_texts;
pub mod plans;
pub mod races;
pub mod receipts;
pub mod receptions;
pub mod seals;
mod sent_codes;
pub mod sessions;
mod subject;
pub mod unit_of_work;
pub mod usage;
pub mod vault;
pub mod verification_counts;
pub mod verifications;
pub mod wa_state;

pub use subject::{ManualClock, Subject};

/// Makes a test of every case. `$fresh` names an `async fn() -> Subject` beside it. A database in memory (`in memory:`)
/// makes readers wait while a unit of work is open, and is not backed up.
#[macro_export]
macro_rules! conformance {
    ($fresh:ident) => {
        $crate::conformance!(in memory: $fresh);
        $crate::conformance!(@module $fresh, unit_of_work as open_units, [
            a_read_sees_one_moment,
        ]);
        $crate::conformance!(@module $fresh, events as open_events, [
            an_open_unit_loses_no_reader_an_event,
        ]);
        $crate::conformance!(@module $fresh, backup, [
            a_backup_holds_one_moment,
            a_restored_feed_is_read_from_its_start_to_a_new_event,
            protocol_state_is_carried_by_its_owner,
        ]);
    };
    (in memory: $fresh:ident) => {
        $crate::conformance!(@module $fresh, unit_of_work, [
            a_unit_is_kept_whole_or_not_at_all,
            a_unit_reads_what_it_wrote,
            a_unit_that_awaits_something_else_is_refused_and_rolled_back,
            a_panic_takes_its_own_unit_and_no_other,
            a_rejection_comes_back_as_it_was_given,
            a_caller_that_goes_away_does_not_cancel_its_queued_unit,
            signal_state_is_served_before_what_waited_longer,
            what_is_applied_is_seen_and_kept,
            what_is_applied_is_committed_soon,
            a_glance_reads_and_gives_its_place_back,
            a_read_cannot_write,
            nobody_wakes_for_a_unit_that_was_rolled_back,
            a_wrong_number_of_parameters_is_refused,
            parameters_are_bound_by_number,
            closed_storage_says_so,
            many_callers_lose_nothing,
        ]);
        $crate::conformance!(@module $fresh, sessions, [
            a_session_reads_back_as_it_was_made,
            any_text_can_be_stored,
            another_workspace_sees_nothing,
            each_state_keeps_its_own_time,
            a_replaced_owner_cannot_write,
            a_patch_changes_what_it_names,
            wanted_sessions_are_listed_in_order_of_age,
            a_list_goes_through_every_session_once,
            a_cursor_of_another_list_is_refused,
            a_deleted_session_is_gone_and_its_rows_follow,
            many_deleted_sessions_go_in_one_unit,
            signal_state_can_be_shredded_and_messages_stay,
            a_linked_device_is_found_while_it_is_linked,
            of_two_that_bring_a_device_in_one_finds_the_other,
            a_session_says_where_its_credentials_went,
            history_is_newest_first,
        ]);
        $crate::conformance!(@module $fresh, messages, [
            a_message_reads_back_as_it_was_accepted,
            lanes_go_in_order_and_then_by_time,
            a_chat_in_flight_holds_its_next_message_back,
            a_message_is_not_sent_before_it_is_due,
            what_was_to_go_at_once_goes_after_the_clock_was_set_back,
            a_chat_keeps_its_order_when_the_clock_goes_back,
            a_release_is_in_the_order_of_acceptance,
            an_expired_message_is_never_sent,
            what_was_handed_over_expires_too,
            a_message_can_be_cancelled_only_while_it_is_queued,
            what_was_in_flight_is_found_after_a_crash,
            a_postponed_message_waits_and_says_why,
            a_waiting_message_is_not_overtaken_in_its_chat,
            an_answer_ends_the_waiting_of_its_chat,
            an_inbound_message_is_stored_once,
            lists_follow_their_filters_and_cursors,
            a_wiped_body_is_gone,
            a_retry_receipt_finds_its_message_for_thirty_days,
            a_stale_owner_cannot_take_a_message,
            a_nudge_comes_after_the_commit,
        ]);
        $crate::conformance!(@module $fresh, receipts, [
            a_read_receipt_implies_the_delivery,
            a_batch_of_reports_is_taken_in_order,
            a_late_receipt_changes_nothing,
            random_histories_never_go_back,
        ]);
        $crate::conformance!(@module $fresh, events, [
            a_reader_gets_every_event_once_and_in_order,
            concurrent_writers_make_one_order,
            a_filter_holds_back_and_the_cursor_moves_on,
            a_cursor_survives_pruning,
            a_cursor_of_another_workspace_is_refused,
            events_open_until_their_session_is_deleted,
        ]);
        $crate::conformance!(@module $fresh, races, [
            a_message_that_everybody_moves_never_goes_back,
            of_many_takers_one_sends,
            what_is_read_to_be_written_is_not_lost,
            a_replaced_owner_writes_nothing_more,
            batches_in_any_order_do_not_block_each_other,
            uses_of_keys_add_up,
            an_inbound_message_that_comes_many_times_is_stored_once,
            two_that_shred_leave_one_key,
            sessions_made_during_a_rotation_open_after_it,
            patches_of_different_fields_are_both_kept,
        ]);
        $crate::conformance!(@module $fresh, idempotency, [
            the_first_call_has_the_effect_and_the_second_its_answer,
            a_claim_can_bring_its_answer,
            another_body_is_a_mismatch,
            a_call_in_progress_is_said_to_be_and_can_be_released,
            a_claim_that_nobody_ended_lapses,
            a_secret_leaves_only_the_fact,
            a_claim_goes_with_its_unit,
            an_expired_key_is_fresh_again,
            of_many_callers_one_is_first,
        ]);
        $crate::conformance!(@module $fresh, wa_state, [
            a_row_reads_back_and_is_replaced,
            replace_never_brings_a_deleted_row_back,
            one_of_two_takers_gets_the_row,
            owners_ranks_and_expiry_find_their_rows,
            a_batch_is_all_or_nothing,
            a_stale_epoch_writes_nothing,
            a_value_moved_to_another_row_does_not_open,
        ]);
        $crate::conformance!(@module $fresh, api_keys, [
            a_key_is_found_by_its_hash,
            usage_is_added_up,
            a_revoked_key_keeps_its_first_time,
            a_hash_is_unique,
            a_rotated_key_is_found_by_both_of_its_texts,
            a_second_rotation_ends_the_text_before_the_last,
            a_key_that_has_ended_is_not_rotated,
            a_text_that_nobody_received_is_replaced,
            of_many_rotations_the_last_two_texts_are_left,
            an_unused_key_is_one_that_was_neither_used_nor_made_lately,
            a_key_that_would_be_of_no_use_is_not_issued,
            what_is_done_with_a_key_is_noted_once,
        ]);
        $crate::conformance!(@module $fresh, plans, [
            a_plan_reads_back_and_is_changed,
            a_name_is_given_to_one_plan,
            a_key_carries_its_plan,
            a_plan_stays_while_a_key_carries_it,
            another_workspace_has_no_part_in_it,
        ]);
        $crate::conformance!(@module $fresh, usage, [
            what_is_taken_is_counted_by_key_and_day,
            taking_of_what_nothing_limits_writes_nothing,
            what_was_counted_elsewhere_adds_up,
            a_unit_beyond_a_quota_leaves_nothing,
            of_many_that_take_at_once_as_many_are_admitted_as_there_are,
            a_key_makes_as_many_sessions_as_it_may,
            old_days_are_cleared_away,
            a_clock_that_runs_ahead_clears_no_recent_day_away,
        ]);
        $crate::conformance!(@module $fresh, vault, [
            a_string_is_found_by_its_id_until_it_expires,
            a_link_works_once,
            a_string_that_is_over_is_cleared_away,
        ]);
        $crate::conformance!(@module $fresh, verifications, [
            a_code_is_used_once,
            only_the_allowed_number_of_codes_is_compared,
            one_of_many_right_codes_is_approved,
            a_hash_is_of_its_own_row_alone,
            a_hash_is_of_no_later_verification,
            a_new_code_takes_the_place_of_the_old_one,
            the_end_takes_the_digits_out_of_the_messages,
            a_void_message_on_the_wire_holds_nothing_back,
            what_falls_due_is_found,
            a_message_tells_its_verification,
            another_workspace_has_no_part_in_it,
        ]);
        $crate::conformance!(@module $fresh, verification_counts, [
            limits_count_what_was_sent,
            wrong_codes_of_a_phone_add_up,
            what_happens_is_counted,
            numbers_go_with_their_units_and_their_days,
            what_no_session_sends_is_not_counted,
            what_began_as_a_test_is_not_counted,
            an_end_counts_beside_its_beginning,
            a_day_has_so_many_purposes_and_no_more,
        ]);
        $crate::conformance!(@module $fresh, otp_texts, [
            a_text_reads_back_and_is_replaced,
            a_workspace_has_so_many_texts_and_no_more,
            texts_of_another_workspace_are_not_there,
            a_text_opens_in_its_own_row_alone,
        ]);
        $crate::conformance!(@module $fresh, receptions, [
            a_text_is_used_once,
            of_many_that_bring_a_text_one_is_taken,
            a_text_counts_where_its_session_gets_it,
            a_text_that_is_late_counts_no_more,
            a_text_from_another_number_leaves_it_as_it_was,
            what_is_taken_back_is_taken_by_nobody,
            the_last_place_is_free_when_the_earliest_expires,
            what_falls_due_is_found,
            another_workspace_has_no_part_in_it,
        ]);
        $crate::conformance!(@module $fresh, audit, [
            an_entry_reads_back_in_its_own_workspace,
            an_entry_goes_with_its_unit,
        ]);
        $crate::conformance!(@module $fresh, seals, [
            a_value_opens_only_in_its_place,
            blind_indexes_differ_between_sessions_and_kinds,
            debug_output_shows_no_secret,
            a_new_master_key_opens_everything_old,
            the_default_workspace_is_made_once,
        ]);
    };
    (@module $fresh:ident, $module:ident, [$($case:ident),* $(,)?]) => {
        $crate::conformance!(@module $fresh, $module as $module, [$($case),*]);
    };
    (@module $fresh:ident, $module:ident as $name:ident, [$($case:ident),* $(,)?]) => {
        mod $name {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let subject = super::$fresh().await;
                    $crate::conformance::$module::$case(&subject).await;
                }
            )*
        }
    };
}
