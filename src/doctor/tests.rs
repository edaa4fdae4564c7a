use super::*;
use database::mysql::{LinkState, Rights, SurveyedLink, SurveyedTable, Unknown};

fn link(source_id: &str) -> SurveyedLink {
    let state = LinkState {
        source: format!("127.0.0.1:330{source_id}"),
        source_id: source_id.to_owned(),
        io_running: true,
        sql_running: true,
        lag_seconds: Some(0),
        ..LinkState::default()
    };
    SurveyedLink { state, encrypted: Some(true), by_gtid: Some(true), ..SurveyedLink::default() }
}

fn table(name: &str) -> SurveyedTable {
    SurveyedTable {
        database: "shop".into(),
        name: name.into(),
        engine: "InnoDB".into(),
        keyed: true,
        columns: vec![("id".into(), "int NOT NULL".into())],
        indexes: vec!["unique PRIMARY (id)".into()],
        triggers: Vec::new(),
    }
}

/// A ring of so many nodes with nothing wrong.
fn healthy(count: usize) -> Vec<Node> {
    let node = |n: usize| {
        let source = if n == 1 { count } else { n - 1 };
        let (id, offset, increment) = (n.to_string(), n.to_string(), count.to_string());
        let variables = [
            ("server_id", id.as_str()),
            ("version", "10.11.19-MariaDB-log"),
            ("log_bin", "ON"),
            ("log_slave_updates", "ON"),
            ("binlog_format", "ROW"),
            ("binlog_row_image", "FULL"),
            ("auto_increment_increment", increment.as_str()),
            ("auto_increment_offset", offset.as_str()),
            ("gtid_domain_id", id.as_str()),
            ("slave_skip_errors", "OFF"),
            ("slave_exec_mode", "STRICT"),
            ("slave_type_conversions", ""),
            ("slave_run_triggers_for_rbr", "NO"),
            ("sync_binlog", "1"),
            ("innodb_flush_log_at_trx_commit", "1"),
            ("innodb_autoinc_lock_mode", "1"),
            ("innodb_doublewrite", "ON"),
            ("binlog_expire_logs_seconds", "0"),
            ("read_only", "OFF"),
            ("sql_mode", "STRICT_TRANS_TABLES,NO_ZERO_DATE"),
            ("collation_server", "utf8mb4_general_ci"),
            ("lower_case_table_names", "0"),
            ("time_zone", "SYSTEM"),
            ("system_time_zone", "UTC"),
            ("max_allowed_packet", "16777216"),
            ("gtid_strict_mode", "ON"),
            ("wsrep_provider", "none"),
            ("wsrep_on", "OFF"),
        ];
        let all = "GRANT ALL PRIVILEGES ON *.* TO `root`@`%`";
        Node {
            name: format!("n{n}"),
            local: true,
            survey: Survey {
                variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                links: Some(vec![link(&source.to_string())]),
                position: Some("bin.000001:4".into()),
                cipher: Some(String::new()),
                tables: Some(vec![table("orders"), table("products")]),
                rights: Some(Rights::new("10.11.19-MariaDB", "root@%", [all].into_iter())),
                outside_log: Some(true),
                clock_ahead_ms: Some(3),
                ..Survey::default()
            },
        }
    };
    (1..=count).map(node).collect()
}

/// What is found worse than fine, as `severity check: nodes: seen`.
fn found(nodes: &[Node]) -> Vec<String> {
    let worse = judge(nodes, "evensum").into_iter().filter(|finding| finding.severity > Severity::Ok);
    let line = |finding: Finding| {
        assert!(!finding.why.is_empty() && !finding.remedy.is_empty(), "{finding:?}");
        format!("{} {}: {}: {}", finding.severity, finding.check, finding.nodes.join(","), finding.seen)
    };
    worse.map(line).collect()
}

/// What is found after a change to the last of so many nodes.
fn after(count: usize, change: impl FnOnce(&mut Survey)) -> Vec<String> {
    let mut nodes = healthy(count);
    change(&mut nodes.last_mut().unwrap().survey);
    found(&nodes)
}

fn set(name: &str, value: &str) -> impl FnOnce(&mut Survey) {
    let (name, value) = (name.to_owned(), value.to_owned());
    move |survey| {
        survey.variables.insert(name, value);
    }
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    for count in 1..=4 {
        assert_eq!(found(&healthy(count)), [""; 0], "{count}");
    }
    let fine = judge(&healthy(2), "evensum");
    for check in [
        "server_id",
        "binlog_format",
        "auto_increment",
        "links run",
        "writes arrive everywhere",
        "rights to mend",
    ] {
        assert!(fine.iter().any(|finding| finding.check == check), "{check}");
    }
}

#[test]
fn what_nobody_knows_is_not_called_fine() {
    let nodes =
        [Node { name: "n1".into(), ..Node::default() }, Node { name: "n2".into(), ..Node::default() }];
    assert_eq!(judge(&nodes, "evensum"), []);
}

#[test]
fn each_setting_is_judged_by_its_value() {
    for (name, value, expected) in [
        ("log_bin", "OFF", "critical log_bin: n2: OFF"),
        ("binlog_row_image", "MINIMAL", "warning binlog_row_image: n2: MINIMAL"),
        ("slave_skip_errors", "1062,1032", "critical slave_skip_errors: n2: 1062,1032"),
        ("slave_exec_mode", "IDEMPOTENT", "critical slave_exec_mode: n2: IDEMPOTENT"),
        (
            "slave_type_conversions",
            "ALL_NON_LOSSY,ALL_LOSSY",
            "warning slave_type_conversions: n2: ALL_NON_LOSSY,ALL_LOSSY",
        ),
        ("slave_run_triggers_for_rbr", "YES", "warning slave_run_triggers_for_rbr: n2: YES"),
        ("sync_binlog", "0", "warning sync_binlog: n2: 0"),
        ("sync_binlog", "100", "note sync_binlog: n2: 100"),
        ("innodb_flush_log_at_trx_commit", "2", "warning innodb_flush_log_at_trx_commit: n2: 2"),
        ("binlog_expire_logs_seconds", "3600", "note binlog_expire_logs_seconds: n2: 3600"),
        ("read_only", "ON", "note read_only: n2: ON"),
        ("server_id", "1", "critical server_id: n1,n2: 1"),
        ("time_zone", "+02:00", "warning time zones agree: n1,n2: UTC on n1; +02:00 on n2"),
        (
            "sql_mode",
            "STRICT_ALL_TABLES",
            "warning sql_mode agrees: n1,n2: NO_ZERO_DATE,STRICT_TRANS_TABLES on n1; STRICT_ALL_TABLES on n2",
        ),
        (
            "collation_server",
            "latin1_swedish_ci",
            "warning character sets agree: n1,n2: utf8mb4_general_ci on n1; latin1_swedish_ci on n2",
        ),
        ("lower_case_table_names", "1", "critical lower_case_table_names agrees: n1,n2: 0 on n1; 1 on n2"),
        ("max_allowed_packet", "1024", "note max_allowed_packet agrees: n1,n2: 16777216 on n1; 1024 on n2"),
        (
            "version",
            "10.6.1-MariaDB",
            "warning versions agree: n1,n2: 10.11.19-MariaDB-log on n1; 10.6.1-MariaDB on n2",
        ),
        (
            "version",
            "10.11.2-MariaDB",
            "note versions agree: n1,n2: 10.11.19-MariaDB-log on n1; 10.11.2-MariaDB on n2",
        ),
        ("version", "8.4.3", "warning versions agree: n1,n2: 10.11.19-MariaDB-log on n1; 8.4.3 on n2"),
        ("gtid_domain_id", "1", "warning gtid_domain_id: n1,n2: 1"),
    ] {
        assert!(
            after(2, set(name, value)).contains(&expected.to_owned()),
            "{:?}",
            after(2, set(name, value))
        );
    }
    // NON_LOSSY alone, other spellings of the same, and rows of full image without doubles are fine
    for (name, value) in [
        ("slave_type_conversions", "ALL_NON_LOSSY"),
        ("sql_mode", "NO_ZERO_DATE,STRICT_TRANS_TABLES"),
        ("time_zone", "+00:00"),
        ("slave_skip_errors", ""),
    ] {
        assert_eq!(after(2, set(name, value)), [""; 0], "{name}");
    }
    let statement = after(2, |survey| {
        set("binlog_format", "STATEMENT")(survey);
        set("innodb_autoinc_lock_mode", "2")(survey);
    });
    assert_eq!(
        statement,
        [
            "warning binlog_format: n2: STATEMENT",
            "warning innodb_autoinc_lock_mode: n2: 2 with STATEMENT",
            "warning binlog_format agrees: n1,n2: ROW on n1; STATEMENT on n2",
        ]
    );
}

#[test]
fn masters_whose_numbers_meet_are_found() {
    let numbers = |each: &[(u64, u64)]| {
        let mut nodes = healthy(each.len());
        for (node, (increment, offset)) in nodes.iter_mut().zip(each) {
            set("auto_increment_increment", &increment.to_string())(&mut node.survey);
            set("auto_increment_offset", &offset.to_string())(&mut node.survey);
        }
        nodes
    };
    for (each, expected) in [
        (&[(2, 1), (2, 2)][..], ""),
        (&[(10, 1), (10, 2)], ""),
        (&[(4, 1), (2, 2)], ""),
        (&[(3, 1), (3, 2), (3, 3)], ""),
        (&[(1, 1), (1, 1)], "n1,n2"),
        (&[(1, 1), (2, 2)], "n1,n2"),
        // 1, 4, 7, 10 … and 2, 4, 6 …: numbers without a common divisor always meet
        (&[(3, 1), (2, 2)], "n1,n2"),
        (&[(2, 1), (2, 2), (2, 1)], "n1,n3"),
        // 5 is larger than 2, so it is ignored
        (&[(2, 1), (2, 5)], "n1,n2"),
    ] {
        let found = found(&numbers(each));
        let holders = found.iter().find_map(|line| line.strip_prefix("critical auto_increment: "));
        let holders = holders.map_or("", |line| line.split(':').next().unwrap());
        assert_eq!(holders, expected, "{each:?}: {found:?}");
    }
    // who is not written to gives no numbers
    let mut nodes = numbers(&[(1, 1), (1, 1)]);
    set("read_only", "ON")(&mut nodes[1].survey);
    assert_eq!(found(&nodes), ["note read_only: n2: ON"]);
    let remedy = judge(&numbers(&[(1, 1), (1, 1)]), "evensum").remove(0).remedy;
    assert!(remedy.contains("auto_increment_increment = 2 and auto_increment_offset = 2 on n2"), "{remedy}");
}

#[test]
fn links_are_judged_by_how_they_stand() {
    let changed =
        |change: fn(&mut SurveyedLink)| after(2, |survey| survey.links.iter_mut().flatten().for_each(change));
    for (change, expected) in [
        (
            (|link| {
                link.state.sql_running = false;
                link.state.last_error = "Duplicate entry '7'\u{1b}[2J".into();
            }) as fn(&mut SurveyedLink),
            "critical links run: n2: from 127.0.0.1:3301: IO Yes, SQL No: Duplicate entry '7'\u{1b}[2J",
        ),
        (|link| link.state.lag_seconds = Some(31), "warning lag: n2: from 127.0.0.1:3301: 31 s"),
        (|link| link.state.lag_seconds = Some(6), "note lag: n2: from 127.0.0.1:3301: 6 s"),
        (|link| link.skip_counter = 1, "critical skip counter: n2: from 127.0.0.1:3301: 1"),
        (|link| link.delay_seconds = 60, "note lag: n2: from 127.0.0.1:3301: delayed by 60 s"),
        (
            |link| {
                link.encrypted = Some(false);
                link.state.source = "10.0.0.1:3306".into();
            },
            "warning link encryption: n2: from 10.0.0.1:3306: none",
        ),
        (
            |link| link.state.source_id = "9".into(),
            "note sources are listed: n2: fed from 127.0.0.1:3301 (server 9), which is not listed",
        ),
        (|link| link.state.source_id = "9".into(), "critical writes arrive everywhere: n2: no way from n1"),
        (|link| link.by_gtid = Some(false), "note links by GTID: n1,n2: some"),
    ] {
        assert!(changed(change).contains(&expected.to_owned()), "{expected}: {:?}", changed(change));
    }
    // a lag that is meant is no lag
    let meant = changed(|link| (link.delay_seconds, link.state.lag_seconds) = (60, Some(61)));
    assert_eq!(meant, ["note lag: n2: from 127.0.0.1:3301: delayed by 60 s"]);
    let by_file = after(2, |survey| {
        survey.links.iter_mut().flatten().for_each(|link| link.by_gtid = Some(false));
        set("relay_log_recovery", "OFF")(survey);
    });
    assert!(by_file.iter().any(|line| line.starts_with("note relay_log_recovery: n2")), "{by_file:?}");
}

#[test]
fn a_write_is_followed_through_the_ring() {
    // n1 -> n2 -> n3 -> n1: who does not pass on cuts off those behind
    let silent = |name: &str| {
        let mut nodes = healthy(3);
        let node = nodes.iter_mut().find(|node| node.name == name).unwrap();
        set("log_slave_updates", "OFF")(&mut node.survey);
        found(&nodes)
    };
    assert_eq!(
        silent("n2"),
        ["critical writes arrive everywhere: n3: no way from n1", "note log_slave_updates: n2: OFF"]
    );
    // in a pair nobody has to
    assert_eq!(after(2, set("log_slave_updates", "OFF")), ["note log_slave_updates: n2: OFF"]);
    let apart = after(2, |survey| survey.links = Some(Vec::new()));
    assert_eq!(apart, ["critical writes arrive everywhere: n2: no way from n1"]);
    // a source that was never heard of may be any
    let unheard = after(2, |survey| {
        survey.links.iter_mut().flatten().for_each(|link| link.state.source_id = "0".into())
    });
    assert_eq!(unheard, [""; 0]);
    assert!(
        !judge(
            &{
                let mut nodes = healthy(2);
                nodes[1].survey.links = None;
                nodes
            },
            "evensum"
        )
        .iter()
        .any(|finding| finding.check == "writes arrive everywhere")
    );
}

#[test]
fn filters_are_named_and_so_is_what_they_do_to_the_ledger() {
    let filtered = |name: &str, value: &str| {
        after(2, |survey| survey.log_filters = vec![(name.to_owned(), value.to_owned())])
    };
    for (name, value, lost) in [
        ("binlog_do_db", "retail_db", true),
        ("binlog_do_db", "retail_db, evensum", false),
        ("binlog_ignore_db", "evensum", true),
        ("binlog_ignore_db", "test", false),
        ("replicate_do_table", "shop.orders", true),
        ("replicate_wild_do_table", "shop.%,evensum.%", false),
        ("replicate_wild_do_table", "%.%", false),
        ("replicate_wild_ignore_table", "even%.%", true),
        ("replicate_wild_ignore_table", "even_.%", false),
        ("replicate_wild_do_table", "shop.%,%sum.w%", false),
        ("replicate_wild_ignore_table", "evensum.%", true),
        ("replicate_ignore_table", "evensum.watermarks", true),
    ] {
        let mut expected = vec![format!("warning filters: n2: {name} = {value}")];
        expected.extend(
            lost.then(|| format!("warning ledger replicates: n2: evensum is left out by {name} = {value}")),
        );
        assert_eq!(filtered(name, value), expected);
    }
}

#[test]
fn tables_are_judged_and_compared() {
    let changed =
        |change: fn(&mut Vec<SurveyedTable>)| after(2, |survey| survey.tables.iter_mut().for_each(change));
    for (change, expected) in [
        (
            (|tables| tables[0].keyed = false) as fn(&mut Vec<SurveyedTable>),
            "warning tables have keys: n2: shop.orders",
        ),
        (|tables| tables[0].engine = "MyISAM".into(), "warning tables are InnoDB: n2: shop.orders"),
        (
            |tables| tables[0].engine = "MyISAM".into(),
            "warning definitions agree: n1,n2: shop.orders (InnoDB | MyISAM)",
        ),
        (
            |tables| tables[0].columns[0].1 = "bigint NOT NULL".into(),
            "warning definitions agree: n1,n2: shop.orders (id: int NOT NULL | bigint NOT NULL)",
        ),
        (
            |tables| tables[0].columns.push(("v".into(), "int NULL".into())),
            "warning definitions agree: n1,n2: shop.orders (v: absent | int NULL)",
        ),
        (
            |tables| tables[0].indexes.push("unique u (v)".into()),
            "warning indexes agree: n1,n2: shop.orders (unique u (v))",
        ),
        (|tables| tables[0].triggers.push("t".into()), "warning triggers agree: n1,n2: shop.orders (t)"),
        (|tables| tables[0].triggers.push("t".into()), "note triggers: n2: shop.orders"),
        (
            |tables| drop(tables.remove(1)),
            "warning tables are everywhere: n2: not here, but on another node: shop.products",
        ),
    ] {
        assert!(changed(change).contains(&expected.to_owned()), "{expected}: {:?}", changed(change));
    }
    let many = changed(|tables| {
        *tables = (0..20).map(|n| SurveyedTable { keyed: false, ..table(&format!("t{n:02}")) }).collect()
    });
    assert!(many.iter().any(|line| line.ends_with("shop.t07 and 12 more")), "{many:?}");
}

#[test]
fn missing_rights_are_lines_to_run() {
    let lines = ["GRANT SELECT ON `shop`.* TO `c`@`%`", "GRANT SELECT, INSERT ON `evensum`.* TO `c`@`%`"];
    let mut nodes = healthy(1);
    let survey = &mut nodes[0].survey;
    survey.rights = Some(Rights::new("10.11.19-MariaDB", "c@%", lines.into_iter()));
    (survey.links, survey.outside_log) = (None, Some(false));
    survey.unknown.push(Unknown { what: "links".into(), reason: "no".into(), grant: Some("GRANT".into()) });
    let remedy = |check: &str| {
        let findings = judge(&nodes, "evensum");
        let found = findings.into_iter().find(|finding| finding.check == check).unwrap();
        (found.severity, found.remedy)
    };
    let line = |rights: &str, scope: &str| format!("GRANT {rights} ON {scope} TO `c`@`%`;");
    assert_eq!(
        remedy("rights to see replication"),
        (Severity::Warning, line("SLAVE MONITOR, BINLOG MONITOR", "*.*"))
    );
    assert_eq!(remedy("rights to check"), (Severity::Warning, line("CREATE", "`evensum`.*")));
    let repair =
        [line("INSERT, UPDATE, DELETE, TRIGGER", "`shop`.*"), line("BINLOG ADMIN, REFERENCES", "*.*")];
    assert_eq!(remedy("rights to mend"), (Severity::Note, repair.join("\n")));
    assert_eq!(remedy("rights to forget old runs"), (Severity::Note, line("DELETE", "`evensum`.*")));
    // who sees nothing is told what shows it
    nodes[0].survey.tables = Some(Vec::new());
    let blind = Rights::new("10.11.19-MariaDB", "c@%", [lines[1]].into_iter());
    nodes[0].survey.rights = Some(blind);
    let found =
        judge(&nodes, "evensum").into_iter().find(|finding| finding.check == "rights to check").unwrap();
    assert_eq!(found.remedy, format!("{}\n{}", line("SELECT", "*.*"), line("CREATE", "`evensum`.*")));
}

#[test]
fn galera_is_judged_by_its_status() {
    let galera = |n: usize, status: &str, state: &str, conf: &str| {
        let mut nodes = healthy(n);
        for node in &mut nodes {
            set("wsrep_provider", "/usr/lib/galera/libgalera_smm.so")(&mut node.survey);
            set("wsrep_on", "ON")(&mut node.survey);
            node.survey.links = Some(Vec::new());
            let status = [
                ("wsrep_cluster_status", "Primary"),
                ("wsrep_ready", "ON"),
                ("wsrep_local_state_comment", "Synced"),
                ("wsrep_cluster_state_uuid", "u"),
                ("wsrep_cluster_conf_id", "3"),
            ];
            node.survey.galera = status.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        }
        let last = &mut nodes.last_mut().unwrap().survey.galera;
        for (name, value) in [
            ("wsrep_cluster_status", status),
            ("wsrep_local_state_comment", state),
            ("wsrep_cluster_conf_id", conf),
        ] {
            last.insert(name.to_owned(), value.to_owned());
        }
        found(&nodes)
    };
    let repair = "note galera repair: n1,n2,n3: Galera replicates every write".to_owned();
    assert_eq!(galera(3, "Primary", "Synced", "3"), std::slice::from_ref(&repair));
    assert_eq!(
        galera(3, "non-Primary", "Initialized", "3"),
        ["critical galera state: n3: non-Primary, ready ON, Initialized".to_owned(), repair.clone()]
    );
    assert_eq!(
        galera(3, "Primary", "Donor/Desynced", "4"),
        [
            "warning galera state: n3: Primary, ready ON, Donor/Desynced".to_owned(),
            "warning galera membership: n1,n2,n3: 3 on n1, n2; 4 on n3".to_owned(),
            repair
        ]
    );
}

#[test]
fn clocks_and_connections_are_judged() {
    let apart = after(2, |survey| survey.clock_ahead_ms = Some(-2_500));
    assert_eq!(apart, ["warning clocks agree: n1,n2: +0.0 s on n1; -2.5 s on n2"]);
    let mut nodes = healthy(2);
    nodes[1].local = false;
    assert_eq!(found(&nodes), ["warning this connection: n2: not encrypted"]);
    nodes[1].survey.cipher = Some("TLS_AES_256_GCM_SHA384".into());
    assert_eq!(found(&nodes), [""; 0]);
}
