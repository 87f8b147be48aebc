//! Every limit is met by a test from both sides: what is just within it is accepted, what is just
//! beyond is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::sources;

/// A limit, and the functions that meet it.
type Row = (&'static str, &'static [&'static str]);

/// By file, all limits that tests meet.
const MET: [(&str, &[Row]); 13] = [
    (
        "hook-runtime/src/limits.rs",
        &[
            ("MEMORY", &["h10_memory_and_tables_up_to_a_bound", "h10_memory_is_bounded"]),
            ("CPU", &["h09_the_limit_is_kept_to_a_tenth", "a_million_caught_errors_exhaust_nothing"]),
            ("WALL", &["h27_waiting_ends_at_the_wall_clock", "a_million_caught_errors_exhaust_nothing"]),
            (
                "OPERATIONS",
                &["h21_the_last_operation_and_the_last_byte_that_may_be", "h21_more_operations_can_be_granted"],
            ),
            ("WRITTEN", &["h21_the_last_operation_and_the_last_byte_that_may_be"]),
            ("LOG", &["h14_lines_and_logs_up_to_a_bound", "h14_the_log_is_bounded"]),
            ("LOG_LINE", &["h14_lines_and_logs_up_to_a_bound"]),
            ("SCRIPT", &["h15_scripts_are_bounded_and_checked_without_running", "h15_hooks_up_to_a_bound"]),
            ("MESSAGE", &["h32_messages_up_to_a_bound"]),
            ("CHUNK", &["h32_writes_and_reads_up_to_a_bound"]),
            ("PATH", &["h23_paths_up_to_a_bound"]),
            ("LINKS", &["a29_chains_of_40_links_but_not_of_41"]),
            ("OPEN_FILES", &["h21_open_files_and_denials_are_bounded"]),
            ("DEPTH", &["a14_depth_up_to_a_bound"]),
            ("TREE_DEPTH", &["a14_trees_are_taken_away_down_to_a_bound"]),
            ("DENIALS", &["h13_as_many_denials_as_are_kept"]),
            ("ERROR_TEXT", &["h13_messages_up_to_a_bound", "h13_errors_of_all_kinds_become_bounded_text"]),
            ("TABLE", &["h10_memory_and_tables_up_to_a_bound"]),
            ("LAST_WORDS", &["h14_last_words_up_to_a_bound"]),
        ],
    ),
    (
        "host/src/archive/limits.rs",
        &[
            ("WINDOW_LOG", &["a60_windows"]),
            ("MAX_COMPRESSION_LEVEL", &["a60_levels_up_to_one_that_readers_must_support", "the_zstd_program"]),
            ("SPARE", &["a61_the_memory_of_small_windows_is_kept_and_no_more"]),
            ("AHEAD", &["a58_so_many_buffers_come_ahead_and_no_more"]),
            ("EXTENSION", &["a51_extensions_up_to_a_bound"]),
            ("PAX_RECORDS", &["a49_records_up_to_a_bound"]),
            ("PADDING", &["a54_padding_up_to_a_bound"]),
            ("DEPTH", &["a14_folders_in_folders_up_to_a_bound"]),
            ("LINK_TARGET", &["a28_targets_up_to_a_bound"]),
            ("OUTSIDE", &["a05_entries_outside_up_to_a_bound"]),
            ("OUTSIDE_SIZE", &["h15_hooks_up_to_a_bound"]),
            ("OUTSIDE_KEPT", &["a66_what_hooks_hold_is_kept_up_to_a_bound"]),
            ("ENTRIES", &["a66_entries_up_to_a_bound", "a66_a_million_empty_files"]),
            ("ENTRIES_DECLARED", &["a66_entries_up_to_a_bound"]),
            ("RATIO", &["a58_a59_contents_up_to_a_bound"]),
            ("RATIO_FLOOR", &["a58_a59_contents_up_to_a_bound"]),
            ("DECLARED_SLACK", &["a58_a59_contents_up_to_a_bound"]),
            ("OVERHEAD", &["a51_overhead_up_to_a_bound", "a51_headers_alone_are_no_package"]),
            ("OVERHEAD_PER_ENTRY", &["a51_overhead_up_to_a_bound"]),
        ],
    ),
    ("host/src/config/limits.rs", &[("MAX_CONFIG_SIZE", &["m32_texts_up_to_a_bound"])]),
    (
        "host/src/fetch/limits.rs",
        &[
            (
                "MAX_PACKAGE_SIZE",
                &["m06_m14_nothing_larger_than_the_limit_is_fetched", "m06_a_given_file_as_large_as_may_be"],
            ),
            ("MAX_INDEX_SIZE", &["m06_m22_a_bad_index_leaves_the_old_one", "m28_little_that_becomes_much_is_no_index"]),
            ("MAX_CANDIDATES", &["n08_the_last_place_that_is_asked_and_the_first_that_is_not"]),
            (
                "SEARCH_TIME",
                &[
                    "n12_a_search_without_an_end_does_not_hold_up_the_error",
                    "a_source_that_finds_late_is_the_last_hope",
                ],
            ),
            ("NEAR_SEARCH", &["an_answer_that_waits_for_near_sources_is_asked_for_once"]),
            ("NEAR_ANSWER", &["n12_a_peer_that_never_answers", "ours_to_ours"]),
            (
                "PATIENCE",
                &[
                    "n12_n22_a_place_that_says_nothing_gets_another_one_beside_it",
                    "n12_a_place_that_answers_within_our_patience_is_alone",
                ],
            ),
            ("UNHURRIED", &["n22_a_slow_place_gives_way_as_long_as_there_is_another"]),
            ("NEAR_UNHURRIED", &["n12_a_slow_peer_gives_way_where_no_index_tells_the_size"]),
            ("NEAR_DECENT", &["n12_n22_a_slow_peer_costs_a_small_file_little_and_the_next_ones_less"]),
            ("HEAD_START", &["n12_n22_a_slow_peer_costs_a_small_file_little_and_the_next_ones_less"]),
            (
                "NEAR_REST",
                &[
                    "n12_n22_a_slow_peer_costs_a_small_file_little_and_the_next_ones_less",
                    "a_small_file_of_a_fast_peer_comes_from_it_alone",
                ],
            ),
            ("SLOWEST", &["m07_a_place_alone_may_be_slow_but_not_stand_still"]),
            ("TRANSFERS", &["eight_in_all"]),
            ("TRANSFERS_PER_HOST", &["four_from_one_host", "no_more_transfers_from_one_host_than_it_can_bear"]),
            ("TOGETHER", &["small_files_come_from_one"]),
            ("NEAR_PARTNERS", &["one_mirror_at_a_time_helps_and_no_more_than_so_many_places"]),
            ("FAR_PARTNERS", &["one_mirror_at_a_time_helps_and_no_more_than_so_many_places"]),
            ("LEAST_PIECE", &["one_is_asked_for_what_it_gives_in_a_second"]),
            ("LARGEST_PIECE", &["one_is_asked_for_what_it_gives_in_a_second"]),
            ("AHEAD", &["nothing_comes_too_far_ahead", "what_comes_first_is_kept_until_its_turn"]),
            ("LEAST_SHARE", &["a_share_makes_both_ready_at_the_same_time"]),
            ("PATIENCE_WITH_ONE", &["a_pace_is_known_after_a_task_or_a_while"]),
            ("TRIES", &["n12_a_place_that_was_down_is_asked_again_a_few_times"]),
            ("PROGRESS", &["n12_failures_count_anew_after_progress_only"]),
            ("FIRST_PAUSE", &["n12_pauses_grow_and_differ_up_to_a_bound"]),
            ("LONGEST_PAUSE", &["n12_pauses_grow_and_differ_up_to_a_bound"]),
            ("LONGEST_RETRY_AFTER", &["n12_a_time_to_wait_is_kept_within_a_bound"]),
            ("RETRY_TIME", &["n12_the_time_of_all_tries_is_bounded"]),
            ("MAX_MIRROR", &["hostile_mirrors_are_refused"]),
        ],
    ),
    (
        "host/src/journal/limits.rs",
        &[
            ("MAX_SIZE", &["c25_a_journal_as_large_as_may_be", "c25_no_more_is_written_than_can_be_read"]),
            ("SPARE", &["c25_no_more_is_written_than_can_be_read"]),
        ],
    ),
    (
        "host/src/manifest/limits.rs",
        &[
            ("MAX_SIZE", &["m32_m28_h28_what_just_fits", "a56_the_manifest"]),
            ("MAX_LIST", &["m32_m28_h28_what_just_fits"]),
            ("MAX_PERMISSIONS", &["m32_m28_h28_what_just_fits"]),
            ("MAX_WARNINGS", &["m32_m28_h28_what_just_fits"]),
        ],
    ),
    (
        "host/src/plan/limits.rs",
        &[
            (
                "STEPS",
                &[
                    "m33_a_search_that_needs_all_of_a_limit_ends_well",
                    "m33_ten_pigeons_in_nine_holes_end_within_the_limits",
                ],
            ),
            ("TIME", &["m33_each_limit_ends_the_search"]),
            ("PACKAGES", &["m33_a_search_that_needs_all_of_a_limit_ends_well"]),
            ("LINKS", &["m33_a_search_that_needs_all_of_a_limit_ends_well"]),
            ("SENTENCES", &["m33_as_many_sentences_as_anybody_reads"]),
        ],
    ),
    (
        "host/src/plugin/limits.rs",
        &[
            ("LIBRARY", &["p11_a_library_as_large_as_may_be"]),
            ("HANDLES", &["p08_handles_and_memory_up_to_a_bound"]),
            ("MEMORY", &["p08_handles_and_memory_up_to_a_bound"]),
            ("SIDECAR", &["a_sidecar_as_large_as_may_be"]),
            ("SECRET", &["a_secret_as_large_as_may_be"]),
            ("REPLY", &["p09_messages_as_large_as_may_be", "p09_replies_as_large_as_may_be"]),
            (
                "REQUEST",
                &[
                    "p09_requests_as_large_as_may_be",
                    "p09_no_request_is_larger_than_a_worker_takes",
                    "p09_a_config_and_secrets_as_large_as_may_be",
                ],
            ),
            ("CHUNK", &["p09_chunks_up_to_a_bound"]),
            ("CALLS", &["p08_calls_that_hang_up_to_a_bound"]),
            ("SLOTS", &["each_slot_is_given_back_once_it_has_been_taken"]),
            ("STARTS", &["p08_a_worker_is_started_a_few_times"]),
            ("START", &["p08_what_takes_time_and_what_takes_too_long"]),
            ("CLAIM", &["p08_what_takes_time_and_what_takes_too_long", "p08_each_answer_is_waited_for_and_no_longer"]),
            ("FIND", &["p08_what_takes_time_and_what_takes_too_long", "p08_each_answer_is_waited_for_and_no_longer"]),
            ("OPEN", &["p08_each_answer_is_waited_for_and_no_longer"]),
            ("READ", &["p08_the_next_bytes_are_waited_for_and_no_longer"]),
        ],
    ),
    ("plugins/file/src/limits.rs", &[("MAX_LOCATION", &["claims_paths_and_local_urls_only"])]),
    (
        "plugins/http/src/limits.rs",
        &[
            ("MAX_REDIRECTS", &["n13_redirects_are_followed_a_few_times", "n13_redirects_are_followed_five_times"]),
            ("REDIRECT_TIME", &["n12_n13_redirects_that_come_late_are_not_followed_for_ever"]),
            ("CONNECT_TIMEOUT", &["n12_a_connection_that_never_stands_is_given_up"]),
            ("IDLE_TIMEOUT", &["n12_who_does_not_answer_is_given_up", "n12_a_slow_but_steady_body_is_no_silence"]),
            ("MAX_HEADERS", &["n17_as_many_and_as_large_headers_as_fit_are_no_error"]),
            ("MAX_HEAD", &["n17_as_many_and_as_large_headers_as_fit_are_no_error"]),
            ("MAX_URL", &["takes_urls_with_a_server_only"]),
            ("MAX_ESCAPES", &["n14_control_characters_are_refused_under_any_escape"]),
            ("MAX_VERSION", &["n18_versions_are_strong_tags_of_bounded_size"]),
            ("IDLE_CONNECTIONS", &["connections_are_kept_for_the_next_file_up_to_a_bound"]),
        ],
    ),
    (
        "plugins/oci/src/limits.rs",
        &[
            ("MAX_REDIRECTS", &["n13_redirects_of_a_registry_up_to_a_bound"]),
            ("REDIRECT_TIME", &["n12_redirects_of_a_registry_that_come_late"]),
            ("CONNECT_TIMEOUT", &["n12_a_connection_to_a_registry_that_never_stands"]),
            ("IDLE_TIMEOUT", &["n12_a_registry_that_does_not_answer_is_given_up"]),
            ("MAX_LOCATION", &["names_and_hosts_up_to_a_bound"]),
            ("MAX_NAME", &["names_and_hosts_up_to_a_bound"]),
            ("MAX_ANSWER", &["n16_answers_of_token_servers_up_to_a_bound"]),
            ("SLOWEST_UPLOAD", &["n12_the_time_of_an_upload_grows_with_its_size"]),
            ("MAX_TAG", &["tags_are_what_registries_take"]),
            ("MAX_TOKENS", &["tokens_are_kept_of_so_many_repositories"]),
        ],
    ),
    (
        "plugins/lan/src/limits.rs",
        &[
            ("CONNECT_TIMEOUT", &["n12_a_connection_that_stands_too_late"]),
            ("IDLE_TIMEOUT", &["n12_a_body_may_rest_for_a_time_and_no_longer"]),
            ("MAX_NAMES", &["names_of_version_1_up_to_a_bound"]),
            ("MAX_DATAGRAM", &["n04_an_answer_is_shorter_than_its_question_and_both_fit_a_frame"]),
            (
                "MAX_WANTED",
                &["n06_what_is_no_message_of_version_2", "one_question_for_all_files_and_one_of_version_1_for_each"],
            ),
            ("MAX_NAME", &["n06_what_is_no_message_of_version_1"]),
            ("FIRST_WAIT", &["the_wait_shrinks_to_nothing_where_nobody_answers"]),
            ("SHORTEST_WAIT", &["the_wait_shrinks_to_nothing_where_nobody_answers"]),
            ("LONGEST_WAIT", &["the_wait_follows_the_slowest_peer_within_bounds"]),
            ("PATIENCE", &["the_wait_follows_the_slowest_peer_within_bounds"]),
            ("LEAST_PATIENCE", &["the_wait_follows_the_slowest_peer_within_bounds"]),
            ("MAX_PEERS", &["n08_ten_thousand_who_answer", "n08_ten_thousand_that_somebody_made_up"]),
            ("MAX_PLACES", &["n08_ten_thousand_who_answer"]),
            ("MAX_REMEMBERED", &["n08_no_more_is_remembered_than_so_much"]),
            ("MAX_NETWORKS", &["n08_no_more_is_remembered_than_so_much"]),
            ("MAX_SILENCE", &["who_is_silent_wrong_or_long_gone_is_forgotten"]),
            ("REMEMBERED_FOR", &["who_is_silent_wrong_or_long_gone_is_forgotten"]),
            ("LOOK_AROUND", &["everybody_is_asked_now_and_then_even_where_peers_are_known"]),
            ("ALONE_FOR", &["where_nobody_ever_answers_there_is_little_to_note_and_to_ask"]),
            ("REPLY_TIME", &["n12_a_peer_that_never_answers"]),
            ("MAX_HEADERS", &["n11_n16_n17_heads_are_read_strictly", "n17_the_head_of_a_request_up_to_a_bound"]),
            ("LOWEST_PORT", &["n02_n03_who_answers_is_where_the_datagram_came_from_and_near"]),
            ("BURST", &["n04_n07_an_address_gets_so_many_answers_and_no_more"]),
            ("ANSWERS_A_SECOND", &["n04_n07_an_address_gets_so_many_answers_and_no_more"]),
            ("ALL_ANSWERS_A_SECOND", &["n07_all_together_get_so_many_and_cost_so_much"]),
            ("MAX_SOURCES", &["n07_all_together_get_so_many_and_cost_so_much"]),
            ("PEER_EXPIRES", &["peers_come_go_and_expire"]),
            ("MAX_REPLY_HEAD", &["n17_a_reply_s_head_up_to_a_bound"]),
            ("MAX_CONNECTIONS", &["n25_n27_connections_up_to_a_bound_of_one_and_of_all"]),
            ("DECENT_PACE", &["n26_a_decent_pace_and_one_that_is_slower"]),
            ("PACE_TIME", &["n26_a_decent_pace_and_one_that_is_slower"]),
            (
                "GOOD_PACE",
                &[
                    "n26_n27_readers_that_are_just_fast_enough_leave_room",
                    "n27_the_slowest_makes_room_where_all_take_just_enough",
                ],
            ),
            ("WIDE_CONNECTIONS", &["n26_a_few_have_what_their_way_needs_and_many_have_not"]),
            ("MAX_CONNECTIONS_OF_ONE", &["n25_n27_connections_up_to_a_bound_of_one_and_of_all"]),
            ("HEAD_TIME", &["n25_n26_the_time_of_a_head_up_to_a_bound"]),
            ("MAX_HEAD", &["n17_the_head_of_a_request_up_to_a_bound"]),
            ("SLOWEST_READER", &["n26_the_slowest_reader_and_one_that_is_slower"]),
            ("READER_WINDOW", &["n26_a_reader_may_rest_for_a_time_and_no_longer"]),
        ],
    ),
    (
        "plugins/sqlite/src/limits.rs",
        &[
            ("INDEX_BYTES", &["m28_a_file_as_large_as_may_be"]),
            ("FOLLOWED", &["c24_small_copies_are_made_anew"]),
            ("FOLLOWED_TRANSACTIONS", &["c24_how_far_a_copy_may_be_behind"]),
            ("FOLLOWED_PATHS", &["c24_how_far_a_copy_may_be_behind"]),
            ("LOOKED_THROUGH", &["c24_how_far_a_copy_may_be_behind"]),
            ("INDEX_ROWS", &["m28_rows_are_counted"]),
            ("INDEX_VALUE", &["m28_a_value_as_large_as_sqlite_gives"]),
            ("DESCRIPTION", &["m28_what_just_fits_and_what_does_not"]),
            ("MIRRORS", &["m28_what_just_fits_and_what_does_not"]),
            ("MIRROR", &["m28_what_just_fits_and_what_does_not"]),
            ("NAMES", &["m28_what_just_fits_and_what_does_not"]),
            ("ANSWERS", &["m33_a_name_that_everybody_answers_to"]),
            ("ARCH", &["m28_what_just_fits_and_what_does_not"]),
            ("SCHEMA_OBJECTS", &["m24_schemas_as_large_as_may_be"]),
            ("SCHEMA_SQL", &["m24_schemas_as_large_as_may_be"]),
            ("COLUMNS", &["m24_schemas_as_large_as_may_be"]),
            ("QUERY_TIME", &["m25_the_clock_stops_a_query"]),
            ("VERIFY_TIME", &["m25_the_clock_stops_a_query"]),
            ("CUT_OFF_BYTES", &["c24_what_is_too_large_is_not_copied"]),
            ("BUSY", &["c24_busy_says_that_another_program_is_there", "c24_a_lock_that_is_busy_once_is_waited_for"]),
            (
                "BUSY_READER",
                &[
                    "c20_readers_beside_a_writer_see_old_or_new",
                    "c20_readers_beside_a_writer_that_stands_still_see_old_or_new",
                ],
            ),
        ],
    ),
];

/// Limits that no test can meet, or that bound nothing that comes from outside, and why.
const NOT_MET: [(&str, &str, &str); 17] = [
    (
        "plugins/sqlite/src/limits.rs",
        "ALONE",
        "how long somebody waits; c24_a_copy_waits_for_no_write_of_its_own_process holds what that is for",
    ),
    (
        "hook-runtime/src/limits.rs",
        "WASM_STACK",
        "no script is known that Lua's own count of nested calls does not end before; h11_deep_recursion_is_an_error_of_lua_or_a_limit tries many",
    ),
    (
        "hook-runtime/src/limits.rs",
        "SLICE",
        "how often the clock is looked at; h09_the_limit_is_kept_to_a_tenth holds what that is for",
    ),
    (
        "hook-runtime/src/limits.rs",
        "PARTS",
        "the guest that is built in writes in two parts at most, and there is no compiler for another one",
    ),
    (
        "host/src/archive/limits.rs",
        "CHUNK",
        "the size of a buffer; a_large_package_needs_little_memory holds what that is for",
    ),
    (
        "host/src/archive/limits.rs",
        "WHOLE",
        "the size of a buffer; a_large_package_needs_little_memory holds what that is for",
    ),
    (
        "plugins/lan/src/limits.rs",
        "PIECE",
        "the size of a buffer; n26_n27_readers_that_stand_still holds what that is for",
    ),
    ("plugins/lan/src/limits.rs", "AT_ONCE", "how much a call may do, whoever asks; who asks for more calls again"),
    (
        "plugins/lan/src/limits.rs",
        "QUESTION_BUFFER",
        "the kernel gives what it likes; n07_a_flood_of_questions_from_one_address holds what that is for",
    ),
    (
        "plugins/lan/src/limits.rs",
        "ANSWER_BUFFER",
        "the kernel gives what it likes; n07_answers_to_whom_nobody_finds_hold_up_nobody holds what that is for",
    ),
    (
        "plugins/lan/src/limits.rs",
        "SEND_BUFFER",
        "the kernel rounds it as it likes; n26_n27_readers_that_stand_still holds what that is for",
    ),
    (
        "plugins/lan/src/limits.rs",
        "RECEIVE_BUFFER",
        "the kernel rounds it as it likes, and heads have a bound of their own",
    ),
    ("plugins/lan/src/limits.rs", "READERS", "how many threads read files, whoever asks"),
    ("plugins/lan/src/limits.rs", "REST", "a pause where the system has no handle left, not a bound"),
    ("plugins/lan/src/limits.rs", "HELLO_PAUSE", "how often the server speaks, whoever listens"),
    (
        "plugins/sqlite/src/limits.rs",
        "INSTRUCTIONS",
        "how often the clock is looked at; m25_the_clock_stops_a_query holds what that is for",
    ),
    (
        "plugins/sqlite/src/limits.rs",
        "CUT_OFF_TRIES",
        "chance decides who looks when; c20_readers_beside_writers_that_are_killed_see_old_or_new holds what that is for",
    ),
];

/// All limits, as file and name: the constants at the left edge of each limits.rs that is part of the program.
fn limits() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (path, text) in sources(&["plugin-api", "hook-runtime", "plugins", "host"]) {
        let is_part = !path.components().any(|part| part.as_os_str() == "tests");
        if !is_part || path.file_name() != Some("limits.rs".as_ref()) {
            continue;
        }
        for line in text.lines() {
            let bare = line.strip_prefix("pub").map_or(line, |rest| rest.trim_start_matches(|c| c != ' ').trim_start());
            if let Some((name, _)) = bare.strip_prefix("const ").and_then(|rest| rest.split_once(':')) {
                found.insert((path.display().to_string(), name.to_owned()));
            }
        }
    }
    found
}

/// All limits that the tables name; none twice.
fn named() -> BTreeSet<(String, String)> {
    let met = MET.iter().flat_map(|(file, rows)| rows.iter().map(move |(name, _)| (*file, *name)));
    let not_met = NOT_MET.iter().map(|(file, name, _)| (*file, *name));
    let mut named = BTreeSet::new();
    for (file, name) in met.chain(not_met) {
        assert!(named.insert((file.to_owned(), name.to_owned())), "{name} of {file} is there twice");
    }
    named
}

#[test]
fn every_limit_is_in_the_tables() {
    let (there, named) = (limits(), named());
    assert!(there.len() > 100, "the files are read right: {there:?}");
    let forgotten: Vec<_> = there.difference(&named).collect();
    assert!(forgotten.is_empty(), "no test is named that meets these from both sides: {forgotten:#?}");
    let gone: Vec<_> = named.difference(&there).collect();
    assert!(gone.is_empty(), "these limits are no more: {gone:#?}");
}

/// The functions that are tests, by name.
fn tests() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, text) in sources(&["plugin-api", "hook-runtime", "plugins", "host", "tests"]) {
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            match line.strip_prefix("fn ").and_then(|rest| rest.split_once('(')) {
                Some((name, _)) if is_test => drop(found.insert(name.to_owned(), path.display().to_string())),
                _ => {}
            }
            is_test = line == "#[test]" || is_test && (line.starts_with("#[") || line.starts_with("///"));
        }
    }
    found
}

#[test]
fn every_test_that_is_named_is_there() {
    let tests = tests();
    assert!(tests.len() > 500 && tests.contains_key("every_test_that_is_named_is_there"), "{} tests", tests.len());
    let by_rows = MET
        .iter()
        .flat_map(|(_, rows)| rows.iter().flat_map(|(limit, names)| names.iter().map(move |name| (limit, *name))));
    for (limit, name) in by_rows {
        assert!(tests.contains_key(name), "{name} is to meet {limit}, and is no test");
    }
    for (_, limit, why) in NOT_MET {
        let words = why.split([' ', ';']).filter(|word| word.contains('_'));
        for word in words {
            assert!(tests.contains_key(word), "{word} stands with {limit}, and is no test");
        }
    }
}

/// What reads what somebody made to do harm: every run of the program in it is measured.
const HOSTILE: [&str; 3] = ["tests/archive", "tests/network/hostile.rs", "tests/sync/bad.rs"];

#[test]
fn hostile_runs_have_bounds_of_memory_and_time() {
    let mut runs = 0;
    for (path, text) in sources(&HOSTILE) {
        for way in
            ["TestEnvironment::new", "TestEnvironment::in_memory", "TestEnvironment::with_", ".command()", "run_traced"]
        {
            assert!(!text.contains(way), "{}: a run by {way} has no bounds", path.display());
        }
        runs += text.matches("TestEnvironment::hostile").count();
    }
    assert!(runs > 15, "{runs}");
    for path in HOSTILE {
        assert!(packets_tests::workspace().join(path).exists(), "{path} has moved");
    }
}
