//! A plan in a file: reviewed by one person, carried out by another, and never on another server or in another form.

use crate::cluster::Cluster;
use crate::commands::said;
use std::os::unix::fs::PermissionsExt;

/// A pair with one table of three rows, of which one differs.
fn diverged() -> Cluster {
    let cluster = Cluster::start(2);
    cluster.run(1, "CREATE DATABASE shop");
    cluster.run(1, "CREATE TABLE shop.t (id INT NOT NULL PRIMARY KEY, n INT)");
    cluster.run(1, "INSERT INTO shop.t VALUES (1, 1), (2, 2), (3, 3)");
    cluster.settle();
    cluster.corrupt(2, &["UPDATE shop.t SET n = 20 WHERE id = 2"]);
    cluster
}

fn value(cluster: &Cluster, n: usize) -> Option<String> {
    cluster.ask(n, "SELECT n FROM shop.t WHERE id = 2")[0][0].clone()
}

#[test]
fn a_saved_plan_is_carried_out_as_it_is_or_not_at_all() {
    let cluster = diverged();
    let plan = cluster.path("plan.json");
    let file = plan.to_str().unwrap();
    let sync = ["sync", "--tables", "shop.*", "--policy", "prefer=n1", "--plan", file];
    let (code, sql, err) = said(&cluster.evensum(&sync));
    assert_eq!(code, 1, "{err}");
    assert!(sql.contains("UPDATE `shop`.`t` SET `n` = 2 WHERE `id` = 2"), "{sql}");

    let good = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, good.replacen("prefer", "prefer ", 1).replacen("\"n2\"", "\"n1\"", 1)).unwrap();
    let execute = format!("--execute={file}");
    let (code, _, err) = said(&cluster.evensum(&["sync", &execute, "--yes"]));
    assert_eq!((code, value(&cluster, 2).as_deref()), (3, Some("20")), "{err}");
    assert!(err.contains("Nothing was changed"), "{err}");

    std::fs::write(&plan, &good).unwrap();
    let (code, out, err) = said(&cluster.evensum(&["sync", &execute, "--yes"]));
    assert_eq!((code, value(&cluster, 2).as_deref()), (0, Some("2")), "{out}{err}");
    // the row is not as the plan expects any more, so a second time changes nothing
    let (code, out, err) = said(&cluster.evensum(&["sync", &execute, "--yes"]));
    assert!(out.contains("mended: 0 of 1"), "{code} {out}{err}");
}

#[test]
fn a_repair_of_a_run_looks_at_what_that_run_found_and_at_nothing_else() {
    let cluster = diverged();
    let (code, _, err) = said(&cluster.evensum(&["sync", "--run", "last", "--policy", "prefer=n1"]));
    assert!(code == 3 && err.contains("--run"), "{err}");
    let (code, out, err) = said(&cluster.evensum(&["check", "--tables", "shop.*"]));
    assert_eq!(code, 1, "{out}{err}");
    cluster.corrupt(2, &["UPDATE shop.t SET n = 30 WHERE id = 3"]);
    let sync = ["sync", "--run", "last", "--policy", "prefer=n1"];
    let (code, out, err) = said(&cluster.evensum(&sync));
    assert!(code == 1 && out.contains("`id` = 2") && !out.contains("`id` = 3"), "{out}{err}");
    let (code, out, err) = said(&cluster.evensum(&[&sync[..], &["--execute", "--yes"]].concat()));
    assert_eq!((code, value(&cluster, 2).as_deref()), (0, Some("2")), "{out}{err}");
    assert_eq!(cluster.ask(2, "SELECT n FROM shop.t WHERE id = 3")[0][0].as_deref(), Some("30"));
    // what was found is identical by now, and is said to be
    let (code, out, err) = said(&cluster.evensum(&sync));
    assert!(code == 0 && out.is_empty() && err.contains("nothing to mend"), "{code} {out}{err}");
}

#[test]
fn a_plan_is_not_carried_out_on_other_servers() {
    let (cluster, other) = (diverged(), diverged());
    let plan = cluster.path("plan.json");
    let file = plan.to_str().unwrap();
    cluster.evensum(&["sync", "--tables", "shop.*", "--policy", "prefer=n1", "--plan", file]);
    let (code, _, err) = said(&other.evensum(&["sync", &format!("--execute={file}"), "--yes"]));
    assert_eq!((code, value(&other, 2).as_deref()), (4, Some("20")), "{err}");
    assert!(err.contains("not the server of the plan"), "{err}");
}

#[test]
fn policies_of_the_configuration_decide_table_by_table() {
    let cluster = diverged();
    let path = cluster.path("evensum.toml");
    let base = std::fs::read_to_string(&path).unwrap();
    let with = |policy: &str| std::fs::write(&path, format!("{base}\n[sync]\n{policy}\n")).unwrap();
    with("policy = \"majority\"");
    let (code, out, _) = said(&cluster.evensum(&["sync", "--tables", "shop.*"]));
    assert!(code == 1 && out.contains("-- left: shop.t"), "{out}");
    with("policy = \"prefer=n9\"");
    let (code, _, err) = said(&cluster.evensum(&["sync", "--tables", "shop.*"]));
    assert!(code == 3 && err.contains("the nodes are n1, n2"), "{err}");
    with(&format!(
        "policy = \"majority\"\n[sync.tables]\n\"shop.*\" = \"prefer=127.0.0.1:{}\"",
        cluster.port(2)
    ));
    let (code, out, err) = said(&cluster.evensum(&["sync", "--tables", "shop.*", "--execute", "--yes"]));
    assert_eq!((code, value(&cluster, 1).as_deref()), (0, Some("20")), "{out}{err}");
}

#[test]
fn a_password_may_stand_in_a_file_beside_the_configuration() {
    let cluster = Cluster::with(2, "s3cret");
    let secret = cluster.path("secret");
    std::fs::write(&secret, "s3cret\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let path = cluster.path("evensum.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("[cluster]", "[cluster]\npassword_file = \"secret\"")).unwrap();
    let (code, _, err) = said(&cluster.evensum(&["check", "--tables", "harness.*"]));
    assert_eq!(code, 0, "{err}");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, err) = said(&cluster.evensum(&["check", "--tables", "harness.*"]));
    assert!(code == 3 && err.contains("chmod 600"), "{err}");
}

#[test]
fn what_was_not_compared_to_the_end_is_never_called_identical() {
    let cluster = diverged();
    cluster.run(1, "CREATE TABLE shop.log (line TEXT)");
    cluster.settle();
    let sync = ["sync", "--tables", "shop.*", "--policy", "prefer=n1", "--execute", "--yes"];
    let (code, out, err) = said(&cluster.evensum(&sync));
    assert_eq!((code, value(&cluster, 2).as_deref()), (2, Some("2")), "{out}{err}");
    assert!(out.contains("mended: 1 of 1") && out.contains("not finished: shop.log is skipped"), "{out}");
    let (_, runs, _) = said(&cluster.evensum_plain(&["runs", "--json"]));
    assert!(runs.contains("\"unfinished\"") && !runs.contains("\"identical\""), "{runs}");
    // nothing differs any more, and a pattern that matches nothing is no proof
    let slip = ["sync", "--tables", "shop.t,shop.orderz", "--policy", "prefer=n1", "--execute", "--yes"];
    let (code, _, err) = said(&cluster.evensum(&slip));
    assert!(code == 2 && err.contains("no table matches 'shop.orderz'"), "{code} {err}");
    let (code, _, err) = said(&cluster.evensum(&["sync", "--tables", "shop.t", "--execute", "--yes"]));
    assert_eq!(code, 0, "{err}");
}

#[test]
fn a_name_that_another_machine_used_before_does_not_stop_replication() {
    let cluster = diverged();
    let name = "n".repeat(48);
    for machine in ["a", "b"] {
        let state = cluster.path(machine);
        let (code, _, err) = said(&cluster.evensum(&[
            "sync",
            "--tables",
            "shop.*",
            "--policy",
            "prefer=n1",
            "--execute",
            "--yes",
            "--name",
            &name,
            "--state",
            state.to_str().unwrap(),
        ]));
        assert_eq!(code, 0, "{err}");
        let (_, runs, _) = said(&cluster.evensum_plain(&["runs", "--state", state.to_str().unwrap()]));
        assert!(runs.contains(&name), "{runs}");
    }
    let journal = cluster.path("a").join("journals").join(format!("{name}.journal"));
    assert_eq!(std::fs::metadata(journal).unwrap().permissions().mode() & 0o777, 0o600);
    cluster.settle();
    (1..=2).for_each(|n| assert_eq!(cluster.link(n, "Slave_SQL_Running"), "Yes"));
}

#[test]
fn who_approves_sees_the_plan_and_nobody_sees_a_password() {
    let cluster = diverged();
    let sync = ["sync", "--tables", "shop.*", "--policy", "prefer=n1", "--execute", "--json"];
    let (code, out, err) = said(&cluster.evensum(&sync));
    assert_eq!((code, value(&cluster, 2).as_deref()), (4, Some("20")), "{out}{err}");
    assert!(err.contains("UPDATE `shop`.`t` SET `n` = 2"), "{err}");
    for policy in ["prefer=mysql://u:hunter2@h", "preferred=mysql://u:hunter2@h"] {
        let (code, out, err) = said(&cluster.evensum(&["sync", "--policy", policy]));
        assert!(code == 3 && !format!("{out}{err}").contains("hunter2"), "{code} {out}{err}");
    }
}

#[test]
fn a_condition_that_no_server_understands_is_a_wrong_command_line() {
    let cluster = diverged();
    for condition in ["nobody = 1", "id = = 1"] {
        let (code, _, err) = said(&cluster.evensum(&["check", "--tables", "shop.t", "--where", condition]));
        assert_eq!(code, 3, "{err}");
        assert!(err.contains("E0106") && err.contains(&format!("--where '{condition}'")), "{err}");
    }
}

#[test]
fn a_node_that_hears_from_nobody_is_not_well() {
    let cluster = diverged();
    let (code, out, err) = said(&cluster.evensum(&["status"]));
    assert_eq!(code, 0, "{out}{err}");
    cluster.run(2, "STOP SLAVE");
    cluster.run(2, "RESET SLAVE ALL");
    let (code, _, err) = said(&cluster.evensum(&["status"]));
    assert!(code == 2 && err.contains("n2 replicates from nobody"), "{code} {err}");
}
