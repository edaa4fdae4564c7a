//! SELECT SLEEP(n) and DO SLEEP(n), alone in their statement.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlparser::tokenizer::Token;

use super::{ExecError, Session};
use crate::SqlError;
use crate::results::{Param, Sink};
use crate::sql::calls::MAX_SLEEP_SECONDS;
use crate::sql::dml::Outcome;
use crate::sql::output;
use crate::sql::parse::Text;

/// How soon a SLEEP notices that it is to end.
const SLEEP_POLL: Duration = Duration::from_millis(50);

impl Session {
    /// SELECT SLEEP(n): without the connection's mutex, so that an idle write transaction can still be evicted.
    pub(super) fn sleep(
        &mut self,
        text: &Text,
        params: &[Param],
        sink: &mut dyn Sink,
    ) -> Result<(), ExecError> {
        let mut tokens = text.solid().skip(3);
        let seconds: Option<f64> = match tokens.next() {
            Some(Token::Number(number, _)) => number.parse().ok(),
            Some(Token::Placeholder(_)) => match params.first() {
                Some(Param::Int(n)) => n.to_string().parse().ok(),
                Some(Param::Uint(n)) => n.to_string().parse().ok(),
                Some(Param::Double(x)) => Some(*x),
                _ => None,
            },
            _ => None,
        };
        let seconds = seconds
            .filter(|s| *s >= 0.0)
            .ok_or_else(|| SqlError::new(1210, "HY000", "Incorrect arguments to sleep."))?;
        if (tokens.next(), tokens.next()) != (Some(&Token::RParen), None) {
            return Err(SqlError::unsupported("SLEEP beside anything else").into());
        }
        let until = Instant::now() + Duration::from_secs_f64(seconds.min(MAX_SLEEP_SECONDS));
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::sleep(left.min(SLEEP_POLL));
            if self.desk.stopped().load(Ordering::Relaxed) {
                return Err(SqlError::interrupted().into());
            }
        }
        if text.words(1) == ["DO"] {
            return self.done(&Outcome::default(), sink);
        }
        let columns = [crate::results::ColumnMeta::integer(&format!("SLEEP({seconds})"))];
        output::stream_rows(&columns, &[vec![rusqlite::types::Value::Integer(0)]], sink)?;
        Ok(sink.end(0, self.status())?)
    }
}
