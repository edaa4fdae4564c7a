//! What operators do by the API: checks, repairs, schedules, mutes; and what a load balancer asks.

use crate::cluster::Cluster;
use crate::served::{Ask, Said, Served};
use serde_json::json;

const NIGHTLY: &str = "[[schedule]]\nname = \"nightly\"\ncron = \"0 0 1 1 *\"\ncatch_up = \"none\"\n";

/// A pair whose second node has another row, and a service that looks at it every second.
fn diverged() -> (Cluster, Served) {
    let cluster = Cluster::start(2);
    cluster.run(1, "CREATE DATABASE shop");
    cluster.run(1, "CREATE TABLE shop.orders (id INT NOT NULL PRIMARY KEY, v VARCHAR(20))");
    cluster.run(1, "INSERT INTO shop.orders VALUES (1, 'one'), (2, 'two')");
    cluster.settle();
    cluster.corrupt(2, &["UPDATE shop.orders SET v = 'other' WHERE id = 2"]);
    let served =
        Served::start(&cluster, Said { serve: "look_every = \"1s\"\n", more: NIGHTLY, ..Said::default() });
    (cluster, served)
}

#[test]
fn a_repair_is_planned_and_approved_by_the_names_of_its_tables() {
    let (cluster, served) = diverged();
    let found = served.post("/api/v1/runs", &json!({ "tables": ["shop.*"] })).accepted();
    let check = served.until_ended(&found);
    assert_eq!(
        (&check["status"], &check["cause"]),
        (&"different".into(), &"account admin".into()),
        "{check}"
    );
    let table = served.until("/api/v1/tables/shop.orders", |answer| answer.status == 200).json();
    assert_eq!((&table["state"], &table["rows_different"]), (&"different".into(), &1.into()), "{table}");
    assert_eq!(table["divergences"][0]["key"]["id"], "2", "{table}");

    for policy in ["ask", "whoever", "prefer=", "majority\n"] {
        let wrong = json!({ "run": found, "policy": policy });
        assert_eq!(served.post("/api/v1/repairs", &wrong).status, 422, "{policy}");
    }
    let plan = json!({ "run": found, "policy": "prefer=n1" });
    let plan = served.post("/api/v1/repairs", &plan).accepted();
    assert_eq!(served.until_ended(&plan)["status"], "planned");
    let execute = format!("/api/v1/repairs/{plan}/execute");
    for confirm in ["", "yes", "shop", "shop.orders shop.orders"] {
        let refused = served.post(&execute, &json!({ "confirm": confirm }));
        assert_eq!(refused.status, 409, "{confirm}: {}", refused.text());
    }
    let second = "SELECT v FROM shop.orders WHERE id = 2";
    assert_eq!(cluster.ask(2, second)[0][0].as_deref(), Some("other"), "a plan and refusals change nothing");
    assert_eq!(
        served.post(&format!("/api/v1/repairs/{found}/execute"), &json!({ "confirm": "x" })).status,
        409
    );
    let repair = served.post(&execute, &json!({ "confirm": "shop.orders" })).accepted();
    assert_eq!(repair, format!("{plan}-repair"));
    assert_eq!(served.post(&execute, &json!({ "confirm": "shop.orders" })).status, 409, "approved once");
    let done = served.until_ended(&repair);
    assert_eq!(cluster.ask(2, second)[0][0].as_deref(), Some("two"), "{done}");
    let lines = served.get("/api/v1/audit?limit=1000").of(200);
    let approved: Vec<_> =
        lines["lines"].as_array().unwrap().iter().filter(|line| line["action"] == "approve").collect();
    assert_eq!(approved.len(), 1, "{lines}");
    let detail = approved[0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("plan ") && detail.len() == 5 + 64, "{detail}");
    assert!(lines["broken_at"].is_null());
}

#[test]
fn alerts_are_acknowledged_and_muted_and_schedules_paused_with_a_reason() {
    let (_cluster, served) = diverged();
    let run = served.post("/api/v1/schedules/nightly/run", &json!({})).accepted();
    assert_eq!(served.until_ended(&run)["schedule"], "nightly");
    let open = |answer: &crate::served::Answer| answer.json()["alerts"][0]["firing"] == true;
    let alerts = served.until("/api/v1/alerts", open).json();
    let id = alerts["alerts"][0]["id"].clone();
    let why = json!({ "why": "known\u{7}\nand forged: line" });
    served.post(&format!("/api/v1/alerts/{id}/acknowledge"), &why).of(200);
    let alert = served.get("/api/v1/alerts").json()["alerts"][0].clone();
    assert_eq!(alert["acknowledged_by"], "admin");
    assert_eq!(alert["acknowledged_why"], "known  and forged: line", "one line, nothing that moves a cursor");
    for id in ["0", "-1", "x", "99999999999999999999", "1%00"] {
        assert_eq!(served.post(&format!("/api/v1/alerts/{id}/acknowledge"), &json!({})).status, 404, "{id}");
    }
    let mute = json!({ "pattern": "shop.*", "reason": "moving house", "lasts": "2h" });
    let mute = served.post("/api/v1/mutes", &mute).of(201)["id"].clone();
    assert_eq!(served.get("/api/v1/mutes").json()["mutes"][0]["owner"], "admin");
    served.delete(&format!("/api/v1/mutes/{mute}")).of(200);
    assert_eq!(served.delete(&format!("/api/v1/mutes/{mute}")).status, 404);
    for lasts in ["0s", "31d", "soon", "-1h", ""] {
        let mute = json!({ "pattern": "*", "reason": "r", "lasts": lasts });
        assert_eq!(served.post("/api/v1/mutes", &mute).status, 422, "{lasts}");
    }
    let nightly = "/api/v1/schedules/nightly";
    assert_eq!(served.post(&format!("{nightly}/pause"), &json!({ "why": " " })).status, 422);
    served.post(&format!("{nightly}/pause"), &json!({ "why": "audit" })).of(200);
    let paused = || served.get("/api/v1/schedules").json()["schedules"][0]["paused_why"].clone();
    assert_eq!(paused(), "audit");
    served.post(&format!("{nightly}/resume"), &json!({})).of(200);
    assert!(paused().is_null());
    for verb in ["run", "pause", "resume"] {
        let answer = served.post(&format!("/api/v1/schedules/other/{verb}"), &json!({ "why": "w" }));
        assert_eq!(answer.status, 404, "{verb}");
    }
}

#[test]
fn a_run_that_waits_is_stopped_and_what_has_ended_is_not() {
    let (_cluster, served) = diverged();
    let runs: Vec<String> = (0..4).map(|_| served.post("/api/v1/runs", &json!({})).accepted()).collect();
    let last = runs.last().unwrap();
    let stopped = served.post(&format!("/api/v1/runs/{last}/stop"), &json!({}));
    assert_eq!(stopped.accepted(), *last);
    let document = served.until_ended(last);
    assert_eq!(document["status"], "cancelled", "{document}");
    assert_eq!(served.post(&format!("/api/v1/runs/{last}/stop"), &json!({})).status, 409);
    for run in &runs {
        served.until_ended(run);
        let progress = served.get(&format!("/api/v1/runs/{run}/progress")).of(200);
        assert_eq!(progress["run"], run.as_str());
    }
    // what never can begin is refused, or fails; it keeps no other waiting
    let strange = served.post("/api/v1/runs", &json!({ "tables": ["a.\u{0}b"] }));
    assert_eq!(strange.status, 422, "{}", strange.text());
    let flag = served.post("/api/v1/runs", &json!({ "tables": ["--state=/nowhere/x.*"] })).accepted();
    let flag = served.until_ended(&flag);
    assert!(!std::path::Path::new("/nowhere").exists(), "{flag}");
    assert!(flag["command"].as_str().unwrap().contains("--tables=--state=/nowhere/x.*"), "{flag}");
    let after = served.post("/api/v1/runs", &json!({})).accepted();
    assert_eq!(served.until_ended(&after)["status"], "different");
}

#[test]
fn a_load_balancer_hears_of_a_node_that_is_cut_off_or_gone() {
    let mut cluster = Cluster::start(2);
    let served = Served::start(&cluster, Said { serve: "look_every = \"1s\"\n", ..Said::default() });
    let asked = |node: &str| served.ask(&Ask::new("GET", &format!("/health/{node}"))).status;
    let until = |node: &str, status: u16| {
        served.until(&format!("/health/{node}"), |answer| answer.status == status);
    };
    until("n1", 200);
    until("n2", 200);
    assert_eq!(served.ask(&Ask::new("GET", "/readyz")).status, 200);
    assert_eq!((asked("n3"), asked("n1%2F"), asked("..")), (404, 404, 404));
    cluster.partition(2);
    until("n2", 503);
    assert_eq!(asked("n1"), 200, "only the one that is not fed is out");
    cluster.heal(2);
    until("n2", 200);
    cluster.kill(1);
    until("n1", 503);
    let head = served.ask(&Ask::new("HEAD", "/health/n1"));
    assert_eq!((head.status, head.body.len()), (503, 0));
}
