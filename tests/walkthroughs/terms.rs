//! What in an article's text cannot be typed as it stands, and what stands for it here: addresses, ports, folders, and places of a log.
//!
//! Both servers are on this machine, so an article's address becomes 127.0.0.1 and, where a source is named, its port. Places that an
//! article shows as an example are typed as they are on bundled nodes; a MariaDB server's log begins elsewhere, so there the place
//! that its `SHOW MASTER STATUS` has shown is typed, as the articles ask of their readers.

/// A place of a log, as it was shown: file and position.
pub type Shown = (String, String);

/// Puts in what stands for a server's address.
pub fn addresses(text: &str, hosts: &[String], ports: &[u16]) -> String {
    let mut out = text.to_owned();
    for (host, port) in hosts.iter().zip(ports) {
        for quote in ['\'', '"'] {
            let named = format!("{quote}{host}{quote}");
            let mut at = 0;
            while let Some(found) = out[at..].find(&named).map(|found| found + at) {
                let is_source =
                    key_before(&out[..found]).is_some_and(|key| key == "MASTER_HOST" || key == "SOURCE_HOST");
                let prefix =
                    if out[..found].to_uppercase().contains("SOURCE_HOST") { "SOURCE" } else { "MASTER" };
                let put = match is_source {
                    true => format!("{quote}127.0.0.1{quote}, {prefix}_PORT = {port}"),
                    false => format!("{quote}127.0.0.1{quote}"),
                };
                out.replace_range(found..found + named.len(), &put);
                at = found + put.len();
            }
        }
    }
    out
}

/// The word before a `=` at the end of a text, in capitals.
fn key_before(text: &str) -> Option<String> {
    let text = text.trim_end().strip_suffix('=')?.trim_end();
    let start = text.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
    Some(text[start..].to_uppercase())
}

/// Puts in the place that a server has shown for the one of the text.
pub fn place(text: &str, shown: &Shown) -> String {
    let text = value(text, "MASTER_LOG_FILE", &format!("'{}'", shown.0));
    value(&text, "MASTER_LOG_POS", &shown.1)
}

/// The text with another value of a key; the same if the key is not there.
fn value(text: &str, key: &str, new: &str) -> String {
    let Some(at) = text.to_uppercase().find(key) else { return text.to_owned() };
    let Some(equals) = text[at..].find('=').map(|found| found + at + 1) else { return text.to_owned() };
    let start = equals + (text[equals..].len() - text[equals..].trim_start().len());
    let end = text[start..].find([',', ';', '\n', ' ']).map_or(text.len(), |found| found + start);
    format!("{}{new}{}", &text[..start], &text[end..])
}

/// The place in a printed `SHOW MASTER STATUS`.
pub fn shown(printed: &str) -> Option<Shown> {
    let mut lines = printed.lines().skip_while(|line| !line.starts_with("| File"));
    let mut cells = lines.nth(2)?.split('|').map(str::trim).skip(1);
    Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
}

/// What is printed, without what is different at each run.
pub fn settled(printed: &str, hosts: &[String], ports: &[u16], folder: &str) -> String {
    let mut out = printed.replace(folder, "<folder>");
    for (n, (_, port)) in hosts.iter().zip(ports).enumerate() {
        out = out.replace(&port.to_string(), &format!("<port {}>", n + 1));
    }
    out.lines().map(|line| without_sets(&without_uuids(&without_line_number(line))) + "\n").collect()
}

/// The stock client counts the lines of its whole input.
fn without_line_number(line: &str) -> String {
    match line.split_once(" at line ") {
        Some((error, rest)) if error.starts_with("ERROR ") => {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{error}{rest}")
        }
        _ => line.to_owned(),
    }
}

/// Sets of GTIDs are in the order of uuids, which are other ones each time.
fn without_sets(line: &str) -> String {
    let Some(at) = line.find("<uuid>:") else { return line.to_owned() };
    let end = line[at..].find([' ', '\'', ';']).map_or(line.len(), |found| found + at);
    format!("{}<gtids>{}", &line[..at], &line[end..])
}

fn without_uuids(line: &str) -> String {
    const SHAPE: [usize; 5] = [8, 4, 4, 4, 12];
    let is_uuid = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        parts.len() == SHAPE.len()
            && parts
                .iter()
                .zip(SHAPE)
                .all(|(part, n)| part.len() == n && part.chars().all(|c| c.is_ascii_hexdigit()))
    };
    let mut out = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        match rest.get(..36) {
            Some(text) if is_uuid(text) => {
                out.push_str("<uuid>");
                rest = &rest[36..];
            }
            _ => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}
