//! Every setting of a server that a login may have is pinned, or somebody has judged that it needs no pin.

use crate::support::server;
use dayhaul::pg::settings::{BEGIN_SOURCE, Pin, SOURCE, WAREHOUSE};

/// Settings that stay as the login has them at a source, by what they can do there. `*` ends a name's beginning.
const AT_A_SOURCE: [(&str, &str); 11] = [
    (
        "how a query is computed: a plan changes no row (ORDER BY is the query's)",
        "enable_* geqo geqo_* jit jit_* parallel_* cpu_* seq_page_cost random_page_cost cursor_tuple_fraction \
         constraint_exclusion from_collapse_limit join_collapse_limit plan_cache_mode recursive_worktable_factor \
         effective_cache_size effective_io_concurrency maintenance_io_concurrency io_* min_parallel_* max_parallel_* \
         hash_mem_multiplier work_mem temp_buffers force_parallel_mode debug_parallel_query default_statistics_target \
         synchronize_seqscans backend_flush_after compute_query_id query_id_squash_values max_stack_depth \
         file_copy_method",
    ),
    (
        "what is logged, traced or counted",
        "log_* debug_* trace_* track_* client_min_messages application_name escape_string_warning update_process_title \
         stats_fetch_consistency backtrace_functions extension_destdir ignore_system_indexes post_auth_delay \
         md5_password_warnings",
    ),
    (
        "writes, which a read-only transaction does not do",
        "commit_* synchronous_commit default_table_access_method default_tablespace default_toast_compression \
         temp_tablespaces gin_pending_list_limit maintenance_work_mem logical_decoding_work_mem vacuum_* wal_* \
         allow_in_place_tablespaces allow_system_table_mods check_function_bodies password_encryption \
         createrole_self_grant session_replication_role lo_compat_privileges event_triggers icu_validation_level \
         scram_iterations allow_alter_system file_extend_method",
    ),
    (
        "the connection: a lost one is opened anew",
        "tcp_* client_connection_check_interval idle_session_timeout",
    ),
    (
        "the protocol's own, set when the session begins",
        "client_encoding",
    ),
    (
        "said by BEGIN itself",
        "default_transaction_isolation default_transaction_read_only default_transaction_deferrable \
         transaction_isolation transaction_read_only transaction_deferrable",
    ),
    (
        "set by each transaction, from the configuration or the tenant",
        "statement_timeout idle_in_transaction_session_timeout search_path",
    ),
    (
        "a dictionary and not a format: the database's choice, which a query that depends on it names",
        "default_text_search_config",
    ),
    (
        "fails loudly",
        "restrict_nonsystem_relation_kind temp_file_limit",
    ),
    (
        "what the server loads and where from, which a superuser decides",
        "local_preload_libraries session_preload_libraries dynamic_library_path extension_control_path",
    ),
    (
        "a superuser's, for a broken or a test server; nobody else may pin them",
        "zero_damaged_pages ignore_checksum_failure deadlock_timeout lc_messages",
    ),
];

/// The same in the warehouse, besides those that stay at a source, too.
const IN_THE_WAREHOUSE: [(&str, &str); 3] = [
    (
        "no statement of ours makes texts with them, or reads XML",
        "lc_time lc_numeric lc_monetary xmloption xmlbinary",
    ),
    (
        "set for a login that is read-only by itself; a database or server that is read-only is left so",
        "default_transaction_read_only",
    ),
    (
        "said by those transactions that need another than the pinned default",
        "transaction_isolation transaction_read_only transaction_deferrable",
    ),
];

fn judged(groups: &[(&str, &str)], name: &str) -> bool {
    let mut words = groups
        .iter()
        .flat_map(|(_, names)| names.split_whitespace());
    words.any(|word| match word.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => word.eq_ignore_ascii_case(name),
    })
}

fn pinned(pins: &[Pin], name: &str) -> bool {
    pins.iter().any(|pin| pin.name.eq_ignore_ascii_case(name))
}

/// Whatever `ALTER ROLE … SET` takes, from a superuser, too.
fn settings() -> Vec<String> {
    let sql = "SELECT name FROM pg_settings WHERE name !~ '\\.' AND \
               context IN ('user', 'superuser', 'backend', 'superuser-backend')";
    let rows = server::rows(&server::url("postgres"), sql).unwrap();
    rows.into_iter().flatten().flatten().collect()
}

#[test]
fn every_setting_of_a_sources_login_is_pinned_or_judged() {
    let open: Vec<String> = settings()
        .into_iter()
        .filter(|name| !pinned(SOURCE, name) && !judged(&AT_A_SOURCE, name))
        .collect();
    assert!(open.is_empty(), "nobody has judged at a source: {open:?}");
}

#[test]
fn every_setting_of_the_warehouses_login_is_pinned_or_judged() {
    // Those that a source's transaction sets for itself are the session's here.
    let ours = [
        "search_path",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "default_transaction_isolation",
        "default_transaction_deferrable",
    ];
    for name in ours {
        assert!(pinned(WAREHOUSE, name), "{name}");
    }
    let open: Vec<String> = settings()
        .into_iter()
        .filter(|name| {
            !pinned(WAREHOUSE, name)
                && !judged(&IN_THE_WAREHOUSE, name)
                && !judged(&AT_A_SOURCE, name)
        })
        .collect();
    assert!(
        open.is_empty(),
        "nobody has judged in the warehouse: {open:?}"
    );
}

#[test]
fn what_is_pinned_is_judged_once() {
    for pin in SOURCE {
        assert!(!judged(&AT_A_SOURCE, pin.name), "{}", pin.name);
    }
    for mode in ["REPEATABLE READ", "READ ONLY", "NOT DEFERRABLE"] {
        assert!(BEGIN_SOURCE.contains(mode), "{mode}");
    }
}
