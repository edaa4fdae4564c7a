//! How results look: as text for people, as JSON for machines.
//!
//! Pure functions from values to text: nothing here prints, connects or decides.

pub mod clone;
pub mod doctor;
pub mod json;
pub mod pt;
pub mod repair;
pub mod run;
pub mod summary;
pub mod text;
