use super::frame::{Visit, count, length, part};
use super::tables::Wanted;
use crate::render::pt::tests::sample;
use crate::serve::http::Desk;
use crate::serve::http::guard::Caller;
use crate::serve::logins::Logins;
use crate::serve::looks::Looks;
use crate::serve::notify::Manager;
use crate::serve::{Service, Setup};
use crate::state::{Role, State};
use axum::extract::{Path, Query};
use axum::response::Response;
use checker::{Selection, TableReport, Verdict};
use database::Table;
use std::sync::{Arc, RwLock};
use std::time::Instant;
use tempfile::TempDir;
use tokio::sync::{Notify, watch};

#[test]
fn numbers_and_times_read_as_people_write_them() {
    assert_eq!(["0", "999", "1,000", "1,234,567"], [0, 999, 1_000, 1_234_567].map(count));
    assert_eq!(["59 s", "1 min 0 s", "2 h 5 min", "1 d 0 h"], [59, 60, 7_500, 86_400].map(length));
}

#[test]
fn any_name_is_one_part_of_a_path() {
    assert_eq!(part("shop.orders"), "shop.orders");
    assert_eq!(part("a/b c?ä\""), "a%2Fb%20c%3F%C3%A4%22");
}

/// A service that nobody began, with a state folder.
struct Stage {
    folder: TempDir,
    desk: Arc<Desk>,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("evensum.toml");
        let text = "[cluster]\nname = \"shop\"\nnodes = [\"mysql://a@127.0.0.1:1\", \"mysql://a@127.0.0.1:2\"]\n\
                    [[schedule]]\nname = \"nightly\"\ncron = \"30 1 * * *\"\ntimezone = \"Europe/Helsinki\"\n";
        std::fs::write(&config, text).unwrap();
        let service = Arc::new(Service {
            looks: Looks::default(),
            setup: RwLock::new(Arc::new(Setup::read(Some(&config)).unwrap())),
            folder: folder.path().join("state"),
            started: 0,
            wake: Notify::new(),
            stopping: watch::Sender::new(false),
            manager: Manager::find(),
        });
        let desk = Arc::new(Desk {
            service,
            logins: Logins::default(),
            address: "127.0.0.1:1".parse().unwrap(),
            encrypted: false,
        });
        Stage { folder, desk }
    }

    fn state(&self) -> State {
        State::open(&self.folder.path().join("state")).unwrap()
    }

    fn visit(&self, role: Role) -> Visit {
        Visit {
            caller: Caller { name: "ann".into(), role },
            state: self.state(),
            setup: self.desk.service.setup(),
            now: crate::clock::now_seconds(),
            desk: self.desk.clone(),
        }
    }
}

async fn text(response: Result<Response, super::Wrong>) -> String {
    let body = axum::body::to_bytes(response.unwrap().into_body(), 10_000_000).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

fn table(name: &str, chunk_verdicts: Vec<(Verdict, u64)>) -> TableReport {
    let different = chunk_verdicts.iter().any(|(verdict, _)| *verdict == Verdict::Different);
    let one = sample().tables.remove(0);
    TableReport {
        table: Arc::new(Table { name: name.into(), ..(*one.table).clone() }),
        verdict: if different { Verdict::Different } else { Verdict::Identical },
        rows_different: u64::from(different),
        chunk_verdicts,
        ..one
    }
}

#[tokio::test]
async fn a_thousand_tables_of_a_hundred_thousand_chunks_are_a_page_of_bounded_size() {
    let stage = Stage::new();
    let verdicts = |n: u64| match n % 10 {
        // as bad as it gets: every other chunk differs
        0 => {
            (0..100).map(|n| (if n % 2 == 0 { Verdict::Identical } else { Verdict::Different }, 1)).collect()
        }
        _ => vec![(Verdict::Identical, 100)],
    };
    let tables = (0..1_000).map(|n| table(&format!("table_{n:04}"), verdicts(n))).collect();
    let nodes = vec!["127.0.0.1:1".into(), "127.0.0.1:2".into()];
    let report = checker::Report { tables, nodes, interrupted: false, ..sample() };
    stage.state().keep_tables("shop", &report, &Selection::new(&[], &[]).unwrap(), true).unwrap();

    let began = Instant::now();
    let home = text(super::home(stage.visit(Role::Operator)).await).await;
    let at_home = began.elapsed();
    let began = Instant::now();
    let list = text(super::tables(stage.visit(Role::Operator), Query(Wanted::default())).await).await;
    let in_list = began.elapsed();
    println!("home: {} bytes in {at_home:?}; tables: {} bytes in {in_list:?}", home.len(), list.len());
    assert!(home.contains("1,000 tables: 100 different, 900 identical, in 100,000 chunks."));
    assert!(home.len() < 200_000, "{} bytes", home.len());
    assert!(home.matches("<rect").count() < 2_500, "{} shapes", home.matches("<rect").count());
    assert!(list.len() < 400_000, "{} bytes", list.len());
    assert!(list.contains("page 1 of 10"));
}

#[tokio::test]
async fn names_are_text_and_viewers_are_offered_nothing_that_they_may_not() {
    let stage = Stage::new();
    let name = "<script>alert(1)</script>";
    let report = checker::Report { tables: vec![table(name, vec![(Verdict::Different, 1)])], ..sample() };
    stage.state().keep_tables("shop", &report, &Selection::new(&[], &[]).unwrap(), true).unwrap();
    for role in [Role::Viewer, Role::Operator] {
        let path = || Path(format!("shop.{name}"));
        let pages = [
            text(super::home(stage.visit(role)).await).await,
            text(super::tables(stage.visit(role), Query(Wanted::default())).await).await,
            text(super::table(stage.visit(role), path()).await).await,
            text(super::schedules(stage.visit(role)).await).await,
        ];
        for page in &pages {
            assert!(!page.contains("<script>alert"), "{page}");
            assert!(!page.contains(" style=") && !page.contains(" onclick="), "{page}");
            assert_eq!(page.contains("data-method=\"POST\""), role == Role::Operator, "{page}");
        }
        assert!(pages[0].contains("shop.%3Cscript%3E") && pages[0].contains("&lt;script&gt;"));
        assert!(!pages[0].contains("/audit"));
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_and_what_is_empty_says_what_to_do() {
    let stage = Stage::new();
    let absent = super::run(stage.visit(Role::Viewer), Path("nobody".into())).await;
    assert_eq!(absent.unwrap().status(), 404);
    let home = text(super::home(stage.visit(Role::Viewer)).await).await;
    assert!(home.contains("2 masters: nothing has been compared yet"), "{home}");
    assert!(home.contains("Nothing has run yet. A schedule begins its check when it is due"));
    let nights = text(super::schedules(stage.visit(Role::Viewer)).await).await;
    assert!(nights.contains("Europe/Helsinki") && nights.contains("UTC)") && nights.contains(": planned"));
}
