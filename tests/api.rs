//! The API from outside: who may do what, what a browser may do with the answers, what is kept secret, and what is never answered.

mod canary;
mod doors;
mod matrix;
mod odd;
mod schemathesis;
mod sessions;
mod work;
