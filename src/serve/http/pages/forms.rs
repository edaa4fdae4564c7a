//! How something is asked for: a form that the script sends to the API, with the command that does the same.
//!
//! The markup says all that the script needs: the method, the address, which fields go into the document, and what follows. A form
//! without the script posts to its own page, where the guard refuses it: nothing is ever asked for by an address.
//!
//! Invariant: what a form asks for is a wish; whether it is granted the API decides.

use maud::{Markup, html};

/// What a button asks for.
pub struct Wish<'a> {
    /// `POST` or `DELETE`.
    pub method: &'static str,
    /// The address in the API.
    pub address: String,
    /// What follows when it was granted.
    pub then: Then,
    /// What stands on the button.
    pub button: &'a str,
    /// The command that does the same; parts such as `{policy}` are the values of fields.
    pub command: String,
    /// Whether it changes rows or takes something away.
    pub grave: bool,
}

/// What follows when a wish was granted.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// The page is shown again.
    Reload,
    /// The run is shown that was asked for.
    Run,
    /// The first page.
    Home,
    /// What was answered is shown: a token, or what receivers said.
    Show,
}

impl Then {
    fn word(self) -> &'static str {
        match self {
            Then::Reload => "reload",
            Then::Run => "run",
            Then::Home => "home",
            Then::Show => "show",
        }
    }
}

/// The form of a wish.
pub fn form(wish: &Wish<'_>, fields: &Markup) -> Markup {
    html! {
        form.wish method="post" data-method=(wish.method) data-address=(wish.address) data-then=(wish.then.word()) {
            div.fields {
                (fields)
                button type="submit" class=[wish.grave.then_some("grave")] { (wish.button) }
            }
            @if !wish.command.is_empty() { (command(&wish.command)) }
        }
    }
}

/// A command as one types it. Parts in braces are filled in by the script as somebody types, and stand as they are without it.
pub fn command(text: &str) -> Markup {
    command_of("Command", text)
}

/// The same, with what it is for.
pub fn command_of(what: &str, text: &str) -> Markup {
    html! { p.command { span.quiet { (what) ": " } code data-template=[text.contains('{').then_some(text)] { (text) } } }
}

/// A field for a text.
pub struct Field<'a> {
    /// What it is called in the document.
    pub name: &'static str,
    /// What stands before it.
    pub label: &'a str,
    /// `text` or `password`.
    pub kind: &'static str,
    /// What stands in it.
    pub value: &'a str,
    /// What it is for in a browser's memory.
    pub autocomplete: &'static str,
    /// Whether it may be empty.
    pub optional: bool,
}

impl Default for Field<'_> {
    fn default() -> Self {
        Field { name: "", label: "", kind: "text", value: "", autocomplete: "off", optional: false }
    }
}

/// A labelled field.
pub fn field(field: &Field<'_>) -> Markup {
    html! {
        label {
            span { (field.label) @if field.optional { span.quiet { " (optional)" } } }
            input type=(field.kind) name=(field.name) value=(field.value) autocomplete=(field.autocomplete)
                autocapitalize="none" spellcheck="false" required[!field.optional];
        }
    }
}
