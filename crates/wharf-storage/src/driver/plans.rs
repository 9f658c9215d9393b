//! Proof that no statement reads a whole table: every text that the conformance cases run is explained by the dialect
//! that ran it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use wharf_model::Network;

use crate::conformance::{
    Subject, api_keys, events, idempotency, messages, otp_texts, plans, receipts, receptions, seals, sessions, usage,
    vault, verification_counts, verifications, wa_state,
};
use crate::{MasterKey, StorageConfig};

/// What was prepared on PostgreSQL in this process.
pub(crate) static SEEN_BY_POSTGRES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// What was run in this process.
pub(crate) static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Statements that may read everything, because there is little of it or because everything is the question.
const MAY_SCAN: [(&str, &str); 10] = [
    ("schema_migrations", "a handful of rows, at the start"),
    (
        "delete from idempotency where state = 'in_progress'",
        "once, at the start",
    ),
    ("from workspaces order by", "at the start; tenants are few"),
    ("select id, wrapped from data_keys", "a rotation rewraps every key"),
    (
        "from sessions where wanted <> 'stopped'",
        "the partial index holds nothing else",
    ),
    ("key like 'test %'", "asked by other tests that share this process"),
    (
        "select name, status, created_at from sessions order by seq",
        "asked by other tests that share this process",
    ),
    (
        "from sessions s where s.deleted_at is null and exists",
        "once in 30 seconds, two probes of an index for each session",
    ),
    ("from events order by seq limit", "the first rows, as many as asked for"),
    (
        "from (select verification_id from verification_sends",
        "what the inner statement found by its index, a thousand rows at most",
    ),
];

macro_rules! run {
    ($url:expr, $($module:ident :: $case:ident),+ $(,)?) => {$({
        let dir = tempfile::tempdir().unwrap();
        let config = StorageConfig {
            url: $url,
            master_key: Some(MasterKey::from_bytes([1; 32])),
            connections: 4,
            ..StorageConfig::new(dir.path(), Network::Sandbox)
        };
        let subject = Subject::open(config, dir).await;
        $module::$case(&subject).await;
    })+};
}

async fn run_cases(url: fn() -> Option<String>) {
    run!(
        url(),
        api_keys::a_key_is_found_by_its_hash,
        api_keys::usage_is_added_up,
        api_keys::a_revoked_key_keeps_its_first_time,
        api_keys::a_rotated_key_is_found_by_both_of_its_texts,
        api_keys::an_unused_key_is_one_that_was_neither_used_nor_made_lately,
        events::a_reader_gets_every_event_once_and_in_order,
        events::a_cursor_survives_pruning,
        idempotency::the_first_call_has_the_effect_and_the_second_its_answer,
        idempotency::a_claim_can_bring_its_answer,
        idempotency::a_call_in_progress_is_said_to_be_and_can_be_released,
        idempotency::an_expired_key_is_fresh_again,
        messages::lanes_go_in_order_and_then_by_time,
        messages::a_chat_in_flight_holds_its_next_message_back,
        messages::a_message_is_not_sent_before_it_is_due,
        messages::an_expired_message_is_never_sent,
        messages::what_was_handed_over_expires_too,
        messages::a_message_can_be_cancelled_only_while_it_is_queued,
        messages::what_was_in_flight_is_found_after_a_crash,
        messages::a_postponed_message_waits_and_says_why,
        messages::a_waiting_message_is_not_overtaken_in_its_chat,
        messages::an_answer_ends_the_waiting_of_its_chat,
        messages::an_inbound_message_is_stored_once,
        messages::lists_follow_their_filters_and_cursors,
        messages::a_wiped_body_is_gone,
        messages::a_retry_receipt_finds_its_message_for_thirty_days,
        messages::a_nudge_comes_after_the_commit,
        otp_texts::a_text_reads_back_and_is_replaced,
        otp_texts::texts_of_another_workspace_are_not_there,
        plans::a_plan_reads_back_and_is_changed,
        plans::a_key_carries_its_plan,
        plans::a_plan_stays_while_a_key_carries_it,
        receipts::a_batch_of_reports_is_taken_in_order,
        receipts::a_read_receipt_implies_the_delivery,
        receptions::a_text_is_used_once,
        receptions::a_text_from_another_number_leaves_it_as_it_was,
        receptions::what_is_taken_back_is_taken_by_nobody,
        receptions::the_last_place_is_free_when_the_earliest_expires,
        receptions::what_falls_due_is_found,
        receptions::another_workspace_has_no_part_in_it,
        seals::a_new_master_key_opens_everything_old,
        sessions::another_workspace_sees_nothing,
        sessions::a_patch_changes_what_it_names,
        sessions::wanted_sessions_are_listed_in_order_of_age,
        sessions::a_deleted_session_is_gone_and_its_rows_follow,
        sessions::many_deleted_sessions_go_in_one_unit,
        sessions::signal_state_can_be_shredded_and_messages_stay,
        sessions::a_linked_device_is_found_while_it_is_linked,
        sessions::of_two_that_bring_a_device_in_one_finds_the_other,
        sessions::a_session_says_where_its_credentials_went,
        sessions::history_is_newest_first,
        usage::what_is_taken_is_counted_by_key_and_day,
        usage::what_was_counted_elsewhere_adds_up,
        usage::a_key_makes_as_many_sessions_as_it_may,
        usage::old_days_are_cleared_away,
        vault::a_string_is_found_by_its_id_until_it_expires,
        vault::a_link_works_once,
        vault::a_string_that_is_over_is_cleared_away,
        verification_counts::limits_count_what_was_sent,
        verification_counts::wrong_codes_of_a_phone_add_up,
        verification_counts::what_happens_is_counted,
        verification_counts::numbers_go_with_their_units_and_their_days,
        verifications::a_code_is_used_once,
        verifications::a_hash_is_of_its_own_row_alone,
        verifications::a_hash_is_of_no_later_verification,
        verifications::a_new_code_takes_the_place_of_the_old_one,
        verifications::the_end_takes_the_digits_out_of_the_messages,
        verifications::a_void_message_on_the_wire_holds_nothing_back,
        verifications::what_falls_due_is_found,
        verifications::a_message_tells_its_verification,
        verifications::another_workspace_has_no_part_in_it,
        wa_state::replace_never_brings_a_deleted_row_back,
        wa_state::one_of_two_takers_gets_the_row,
        wa_state::owners_ranks_and_expiry_find_their_rows,
        wa_state::a_batch_is_all_or_nothing,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_a_whole_table() {
    run_cases(|| None).await;
    let schema = rusqlite::Connection::open_in_memory().unwrap();
    for migration in crate::migrate::MIGRATIONS {
        schema.execute_batch(migration.sqlite).unwrap();
    }
    let seen = SEEN.lock().unwrap().clone();
    let explained = seen
        .iter()
        .filter(|sql| is_work(sql) && !MAY_SCAN.iter().any(|(text, _)| sql.contains(text)));
    let scans: Vec<_> = explained.clone().flat_map(|sql| scans(&schema, sql)).collect();
    assert!(explained.count() > 60, "the cases ran few statements");
    assert!(scans.is_empty(), "{}", scans.join("\n"));
}

/// Scans and sorts that the server avoids wherever it can are in a plan only where it cannot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_a_whole_table_of_a_server() {
    run_cases(|| Some(wharf_testkit::postgres::fresh_shared_database())).await;
    let url = wharf_testkit::postgres::fresh_shared_database();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for migration in crate::migrate::MIGRATIONS {
        client.batch_execute(migration.postgres).await.unwrap();
    }
    let never = "set enable_seqscan = off; set enable_sort = off; set enable_bitmapscan = off;
                 set plan_cache_mode = force_generic_plan";
    client.batch_execute(never).await.unwrap();
    let seen = SEEN_BY_POSTGRES.lock().unwrap().clone();
    let explained: Vec<_> = seen
        .iter()
        .filter(|sql| is_work(sql) && !MAY_SCAN.iter().any(|(text, _)| sql.contains(text)))
        .filter(|sql| !sql.contains("advisory") && !sql.contains("pg_current_xact_id()"))
        .collect();
    let mut scans = Vec::new();
    for sql in &explained {
        scans.extend(server_scans(&client, sql).await);
    }
    assert!(
        explained.len() > 60,
        "the cases ran few statements: {}",
        explained.len()
    );
    assert!(scans.is_empty(), "{}", scans.join("\n"));
}

async fn server_scans(client: &tokio_postgres::Client, sql: &str) -> Vec<String> {
    let parameters = client.prepare(sql).await.unwrap().params().len();
    let nulls = vec!["null"; parameters].join(", ");
    let call = if parameters == 0 {
        String::new()
    } else {
        format!("({nulls})")
    };
    client
        .batch_execute(&format!("prepare explained as {sql}"))
        .await
        .unwrap();
    let plan = client
        .simple_query(&format!("explain (costs off) execute explained{call}"))
        .await
        .unwrap();
    client.batch_execute("deallocate explained").await.unwrap();
    let steps = plan.iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    steps
        .filter(|step| step.contains("Seq Scan on") || step.contains("Sort Key"))
        .map(|step| format!("{}: {sql}", step.trim()))
        .collect()
}

fn is_work(sql: &str) -> bool {
    ["select", "insert", "update", "delete"]
        .iter()
        .any(|verb| sql.trim_start().starts_with(verb))
}

/// Steps that read a whole table or sort what they read.
fn scans(schema: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = schema.prepare(&format!("explain query plan {sql}")).unwrap();
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let step: String = row.get("detail").unwrap();
        let constant = step.contains("CONSTANT ROW") || step.contains("VIRTUAL TABLE");
        if (step.starts_with("SCAN") && !constant) || step.contains("TEMP B-TREE") {
            found.push(format!("{step}: {sql}"));
        }
    }
    found
}
