//! Accounts, sessions and tokens, from the first token to the last admin.

use crate::served::{Answer, Ask, NOWHERE, PASSWORD, Said, Served};
use serde_json::{Value, json};

fn alone() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::alone(folder.path(), Said::default());
    (folder, served)
}

fn who(served: &Served, ask: Ask) -> (u16, Value) {
    let answer = served.ask(&ask);
    (answer.status, answer.json())
}

#[test]
fn the_token_of_the_first_start_opens_once_even_for_many_at_once() {
    const AT_ONCE: usize = 6;
    let folder = tempfile::tempdir().unwrap();
    let served = Served::begin(folder.path(), NOWHERE, Said::default());
    let token = served.first_token();
    let first = |token: &str, name: &str| {
        let fields = json!({ "token": token, "name": name, "password": PASSWORD });
        served.ask(&Ask::new("POST", "/api/v1/setup").ours().json(&fields))
    };
    let wrong = first(&"0".repeat(64), "eve");
    assert_eq!(wrong.status, 403, "{}", wrong.text());
    // a token that cannot be used leaves the right one as it was
    assert_eq!(first(&token, "no name").status, 422);
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let one = |n: usize| first(&token, &format!("a{n}")).status;
        let asked: Vec<_> = (0..AT_ONCE).map(|n| scope.spawn(move || one(n))).collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 201 | 403 | 429)), "{answers:?}");
}

#[test]
fn a_cookie_is_for_our_pages_alone_and_ends_at_logout() {
    let (_folder, served) = alone();
    let answer = served.log_in("admin", PASSWORD);
    assert_eq!(answer.of(200)["name"], "admin");
    let cookie = answer.header("set-cookie").to_owned();
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"), "{cookie}");
    let session = answer.session();
    assert_eq!(session.len(), 64, "as long as randomness, and not what the visitor said");
    // a session that somebody else chose is not taken over
    let fields = json!({ "name": "admin", "password": PASSWORD });
    let chosen = "f".repeat(64);
    let log_in = Ask::new("POST", "/api/v1/session").session(&chosen).ours().json(&fields);
    assert_ne!(served.ask(&log_in).session(), chosen);
    assert_eq!(who(&served, Ask::new("GET", "/api/v1/session").session(&chosen)).0, 401);

    let asked = || who(&served, Ask::new("GET", "/api/v1/session").session(&session));
    assert_eq!(asked().1["role"], "admin");
    let other = served.token_of(&session);
    let log_out = served.ask(&Ask::new("DELETE", "/api/v1/session").session(&session).ours());
    assert!(log_out.status == 200 && log_out.header("set-cookie").contains("Max-Age=0"), "{log_out:?}");
    assert_eq!(asked().0, 401);
    // a token that was made in it goes on, until it is ended itself
    assert_eq!(who(&served, Ask::new("GET", "/api/v1/session").token(&other)).0, 200);
    assert_eq!(served.ask(&Ask::new("DELETE", "/api/v1/session").token(&other).ours()).status, 200);
    assert_eq!(who(&served, Ask::new("GET", "/api/v1/session").token(&other)).0, 401);
}

#[test]
fn what_is_of_another_kind_opens_nothing() {
    let (_folder, served) = alone();
    let session = served.log_in("admin", PASSWORD).session();
    let get = || Ask::new("GET", "/api/v1/session");
    for ask in [
        get().token(&session),
        get().session(&served.token),
        get().header("Authorization", &format!("Basic {}", served.token)),
        get().header("Authorization", &format!("bearer{}", served.token)),
        get().header("Cookie", &format!("other={session}")),
        get().token(""),
        // a wrong token is not made good by a right cookie
        get().token(&"0".repeat(64)).session(&session),
    ] {
        assert_eq!(who(&served, ask.clone()).0, 401, "{:?}", ask.headers);
    }
    assert_eq!(who(&served, get().header("Cookie", &format!("a=b; evensum_session={session}"))).0, 200);
}

#[test]
fn nobody_learns_which_accounts_there_are_and_who_guesses_waits() {
    let (folder, served) = alone();
    let guess = |name: &str| served.log_in(name, "hunter2hunter2");
    let (known, unknown) = (guess("admin"), guess("nobody"));
    assert_eq!((known.status, unknown.status), (401, 401));
    assert_eq!(known.body, unknown.body);
    let mut late = None;
    for _ in 0..8 {
        late = late.or_else(|| Some(guess("nobody")).filter(|answer| answer.status == 429));
    }
    let late: Answer = late.expect("nobody was held back");
    assert!(late.header("retry-after").parse::<u32>().unwrap() >= 1, "{late:?}");
    // the right password is not looked at either while its address waits
    assert_eq!(served.log_in("admin", PASSWORD).status, 429);
    assert!(!served.said().contains("hunter2"), "{}", served.said());
    drop(folder);
}

#[test]
fn the_last_admin_stays_and_who_goes_is_out_at_once() {
    let (_folder, served) = alone();
    assert_eq!(served.delete("/api/v1/accounts/admin").status, 409);
    served.account("ann", "operator", PASSWORD);
    assert_eq!(served.delete("/api/v1/accounts/admin").status, 409, "an operator is no admin");
    let again = json!({ "name": "ann", "role": "admin", "password": PASSWORD });
    assert_eq!(served.post("/api/v1/accounts", &again).status, 409);
    let session = served.log_in("ann", PASSWORD).session();
    let ask = || who(&served, Ask::new("GET", "/api/v1/status").session(&session)).0;
    assert_eq!(ask(), 200);
    served.delete("/api/v1/accounts/ann").of(200);
    assert_eq!(ask(), 401);
    // the same name again does not open the old door, nor with another role
    served.account("ann", "viewer", PASSWORD);
    assert_eq!(ask(), 401);
    served.account("bob", "admin", PASSWORD);
    served.delete("/api/v1/accounts/admin").of(200);
    assert_eq!(served.get("/api/v1/session").status, 401);
}

#[test]
fn two_admins_who_remove_each_other_at_once_leave_one() {
    let (_folder, served) = alone();
    served.account("bob", "admin", PASSWORD);
    let bob = served.token_of(&served.log_in("bob", PASSWORD).session());
    let removed: Vec<u16> = std::thread::scope(|scope| {
        let one = |token: String, name: &'static str| {
            let ask = Ask::new("DELETE", &format!("/api/v1/accounts/{name}")).token(&token).ours();
            let served = &served;
            scope.spawn(move || served.ask(&ask).status)
        };
        let both = [one(served.token.clone(), "bob"), one(bob.clone(), "admin")];
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(removed.iter().filter(|status| **status == 200).count(), 1, "{removed:?}");
}
