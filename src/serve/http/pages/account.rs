//! One's own account, and for who may: all accounts.

use super::super::answer::{Answer, Wrong};
use super::commands;
use super::forms::{Field, Then, Wish, field, form};
use super::frame::{Visit, part, when};
use crate::state::Role;
use maud::{Markup, html};

/// One's own account.
pub async fn account(visit: Visit) -> Answer {
    let name = &visit.caller.name;
    let may = match visit.caller.role {
        Role::Viewer => "look at everything but the audit log",
        Role::Operator => "look, begin and stop runs, repair, acknowledge and mute",
        Role::Admin => "do everything, also make accounts and read the audit log",
    };
    let logout = Wish {
        method: "DELETE",
        address: "/api/v1/session".to_owned(),
        then: Then::Home,
        button: "Log out",
        command: String::new(),
        grave: false,
    };
    let token = Wish {
        method: "POST",
        address: "/api/v1/tokens".to_owned(),
        then: Then::Show,
        button: "Make a token",
        command: commands::account_token(&visit, name),
        grave: false,
    };
    let lasts = Field { name: "lasts", label: "For how long, as in 90d", value: "90d", ..Field::default() };
    let body = html! {
        h1 { "Account" }
        dl.facts {
            div { dt { "Name" } dd { (name) } }
            div { dt { "Role" } dd { (visit.caller.role.word()) ": may " (may) } }
        }
        (form(&logout, &html! {}))
        section aria-labelledby="token" {
            h2 #token { "Token for scripts" }
            p { "A token may what this account may, sent as " code { "Authorization: Bearer" } ". It is shown once and kept as a hash." }
            (form(&token, &html! { (field(&lasts)) }))
        }
        @if visit.caller.may(Role::Admin) { (accounts(&visit)?) }
    };
    visit.page("/account", "Account", &body)
}

fn accounts(visit: &Visit) -> Result<Markup, Wrong> {
    let accounts = visit.state.accounts()?;
    Ok(html! {
        section aria-labelledby="accounts" {
            h2 #accounts { "Accounts" }
            div.wide tabindex="0" role="region" aria-label="table of accounts" {
                table.stacked {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "Role" } th scope="col" { "Made" } th scope="col" { "Remove" } } }
                    tbody {
                        @for account in &accounts {
                            tr {
                                th scope="row" { (account.name) }
                                td { (account.role.word()) }
                                td { (when(account.created_at, visit.now)) }
                                td {
                                    @if account.name == visit.caller.name { span.quiet { "this is you" } }
                                    @else { (remove(visit, &account.name)) }
                                }
                            }
                        }
                    }
                }
            }
            h3 { "Add an account" }
            (add(visit))
        }
    })
}

fn remove(visit: &Visit, name: &str) -> Markup {
    let button = format!("Remove {name}");
    let wish = Wish {
        method: "DELETE",
        address: format!("/api/v1/accounts/{}", part(name)),
        then: Then::Reload,
        button: &button,
        command: commands::account_remove(visit, name),
        grave: true,
    };
    form(&wish, &html! {})
}

fn add(visit: &Visit) -> Markup {
    let wish = Wish {
        method: "POST",
        address: "/api/v1/accounts".to_owned(),
        then: Then::Reload,
        button: "Add",
        command: commands::account_add(visit),
        grave: false,
    };
    let fields = html! {
        (field(&Field { name: "name", label: "Name", ..Field::default() }))
        label {
            span { "Role" }
            select name="role" { @for role in [Role::Viewer, Role::Operator, Role::Admin] { option value=(role.word()) { (role.word()) } } }
        }
        (field(&Field { name: "password", label: "Password, at least 10 characters", kind: "password", autocomplete: "new-password", ..Field::default() }))
    };
    form(&wish, &fields)
}
