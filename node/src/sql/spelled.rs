//! A prepared statement's text with its values in their places, as it goes to the log.
//!
//! The text stays as the client wrote it, but for the marks. Invariant: the new text means what the old one meant with these
//! values, in value and in kind; no byte of a value can end its literal.

use sqlparser::tokenizer::Token;

use super::parse::Text;
use super::string_functions::hex;
use crate::SqlError;
use crate::results::Param;

/// The text with every placeholder replaced by its value as a literal.
pub fn with_values(sql: &str, params: &[Param]) -> Result<String, SqlError> {
    if params.is_empty() {
        return Ok(sql.to_owned());
    }
    let text = Text::new(sql.as_bytes())?;
    let mut places =
        text.placed().filter(|(token, _)| matches!(token, Token::Placeholder(_))).map(|(_, place)| place);
    let mut params = params.iter();
    let (mut out, mut line, mut column) = (String::with_capacity(sql.len() + 32), 1, 1);
    let mut next = places.next();
    for letter in sql.chars() {
        match next {
            Some(place) if place == (line, column) => {
                let param = params
                    .next()
                    .ok_or_else(|| SqlError::new(1210, "HY000", "Incorrect arguments to EXECUTE"))?;
                out += &literal(param);
                next = places.next();
            }
            _ => out.push(letter),
        }
        (line, column) = if letter == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    Ok(out)
}

fn literal(param: &Param) -> String {
    match param {
        Param::Null => "NULL".to_owned(),
        // two signs in a row would begin a comment
        Param::Int(number) if *number < 0 => format!(" {number}"),
        Param::Int(number) => number.to_string(),
        Param::Uint(number) => number.to_string(),
        Param::Float(number) => format!("CAST({number:e} AS FLOAT)"),
        Param::Double(number) if *number < 0.0 => format!(" {number:e}"),
        Param::Double(number) => format!("{number:e}"),
        // a sign before it, as above
        Param::Decimal(text) if text.starts_with('-') => format!(" {text}"),
        Param::Decimal(text) => text.clone(),
        Param::Text(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        Param::Bytes(bytes) => format!("x'{}'", hex(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_where_the_marks_stood() {
        let params = [
            Param::Int(-5),
            Param::Text("it's a \\ ?".into()),
            Param::Bytes(vec![0, 255]),
            Param::Null,
            Param::Double(0.5),
        ];
        let sql = "insert into t values (?,'?ü',\n  ?, ? /* ? */, ?) -- ?\n, (?)";
        assert_eq!(
            with_values(sql, &params).unwrap(),
            "insert into t values ( -5,'?ü',\n  'it''s a \\\\ ?', x'00ff' /* ? */, NULL) -- ?\n, (5e-1)"
        );
        assert_eq!(with_values("delete from t", &[]).unwrap(), "delete from t");
    }
}
