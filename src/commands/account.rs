//! `evensum account` and `evensum audit`: who may use the page, and what people changed.
//!
//! Who may write the state folder may make an account: that is the way back in for who has lost a password.

use super::place;
use crate::cli::{AccountCommand, AuditArgs, PlaceArgs};
use crate::clock::{self, rfc3339};
use crate::error::{Failure, Outcome};
use crate::output;
use crate::password;
use crate::render;
use crate::serve::access::{account_name, hash_password, random};
use crate::state::{Pass, Role, State};
use database::Secret;
use serde_json::{Value, json};
use std::path::Path;

/// Runs `evensum account`.
pub fn run(command: AccountCommand) -> Result<Outcome, Failure> {
    match command {
        AccountCommand::List(args) => list(&args),
        AccountCommand::Add { name, role, password_file, place } => {
            add(&name, role, password_file.as_deref(), &place)
        }
        AccountCommand::Remove { name, place } => remove(&name, &place),
        AccountCommand::Password { name, password_file, place } => {
            change_password(&name, password_file.as_deref(), &place)
        }
        AccountCommand::Token { name, lasts, place } => {
            let state = place::open(&place)?.state;
            known(&state, &name)?;
            let secret = random()?;
            state.audit(&place::who(), "make token", &name, &format!("for {} s", lasts.as_secs()))?;
            state.admit(&secret, &name, Pass::Token, lasts)?;
            let until = rfc3339(clock::now_seconds() + lasts.as_secs());
            let document = json!({ "schema_version": 1, "token": secret.reveal(), "expires_at": until });
            said(&place, &document, secret.reveal())
        }
    }
}

fn said(args: &PlaceArgs, document: &Value, text: &str) -> Result<Outcome, Failure> {
    let text = if args.json { render::json::text(document) } else { format!("{text}\n") };
    output::print(&text)?;
    Ok(Outcome::Identical)
}

fn known(state: &State, name: &str) -> Result<(), Failure> {
    match state.accounts()?.iter().any(|account| account.name == name) {
        true => Ok(()),
        false => Err(Failure::usage(
            format!("there is no account '{name}'"),
            "evensum account list says which there are",
        )),
    }
}

fn list(args: &PlaceArgs) -> Result<Outcome, Failure> {
    let accounts = place::open(args)?.state.accounts()?;
    let documents: Vec<Value> = accounts
        .iter()
        .map(|account| json!({ "name": account.name, "role": account.role.word(), "created_at": rfc3339(account.created_at) }))
        .collect();
    let mut rows = vec![["account", "role", "since"].map(str::to_owned).to_vec()];
    rows.extend(accounts.into_iter().map(|a| vec![a.name, a.role.word().to_owned(), rfc3339(a.created_at)]));
    let table = render::text::aligned(&rows, "");
    said(args, &json!({ "schema_version": 1, "accounts": documents }), table.trim_end())
}

fn add(name: &str, role: Role, file: Option<&Path>, args: &PlaceArgs) -> Result<Outcome, Failure> {
    account_name(name)?;
    let state = place::open(args)?.state;
    let kept = hash_password(&chosen(name, file)?)?;
    state.audit(&place::who(), "make account", name, role.word())?;
    state.add_account(name, role, &kept)?;
    let document = json!({ "schema_version": 1, "name": name, "role": role.word() });
    said(args, &document, &format!("account {name} is there, as {}", role.word()))
}

fn remove(name: &str, args: &PlaceArgs) -> Result<Outcome, Failure> {
    let state = place::open(args)?.state;
    known(&state, name)?;
    state.audit(&place::who(), "remove account", name, "")?;
    if !state.remove_account(name)? {
        let what = format!("{name} is the last account that may make others");
        return Err(Failure::refused(
            what,
            "make another admin first, with evensum account add --role admin",
        ));
    }
    said(
        args,
        &json!({ "schema_version": 1, "name": name, "removed": true }),
        &format!("account {name} is gone"),
    )
}

fn change_password(name: &str, file: Option<&Path>, args: &PlaceArgs) -> Result<Outcome, Failure> {
    let state = place::open(args)?.state;
    known(&state, name)?;
    let kept = hash_password(&chosen(name, file)?)?;
    state.audit(&place::who(), "change password", name, "")?;
    state.set_password(name, &kept)?;
    let document = json!({ "schema_version": 1, "name": name, "changed": true });
    said(args, &document, &format!("account {name} has another password; its sessions and tokens have ended"))
}

/// The password of a file, or one that somebody types.
fn chosen(name: &str, file: Option<&Path>) -> Result<Secret, Failure> {
    match file {
        Some(path) => password::first_line(path),
        None => password::ask("the page", name)?.ok_or_else(|| {
            Failure::usage("there is nobody to ask for a password", "name a file with --password-file")
        }),
    }
}

/// Runs `evensum audit`.
pub fn audit(args: &AuditArgs) -> Result<Outcome, Failure> {
    let state = place::open(&args.place)?.state;
    let (lines, broken) = (state.audit_lines(args.limit)?, state.audit_break()?);
    if args.place.json {
        let documents: Vec<Value> = lines
            .iter()
            .map(|line| {
                json!({ "id": line.id, "at": rfc3339(line.at), "who": line.who, "action": line.action,
                        "subject": line.subject, "detail": line.detail, "hash": line.hash })
            })
            .collect();
        output::print(&render::json::text(
            &json!({ "schema_version": 1, "broken_at": broken, "lines": documents }),
        ))?;
    } else {
        let mut rows = vec![["line", "at", "who", "what", "to", "detail"].map(str::to_owned).to_vec()];
        rows.extend(lines.into_iter().map(|line| {
            vec![line.id.to_string(), rfc3339(line.at), line.who, line.action, line.subject, line.detail]
        }));
        output::print(&render::text::aligned(&rows, ""))?;
    }
    match broken {
        None => Ok(Outcome::Identical),
        Some(line) => {
            output::note(&format!(
                "evensum: the chain of hashes does not hold from line {line} on: somebody changed the log"
            ));
            Ok(Outcome::Different)
        }
    }
}
