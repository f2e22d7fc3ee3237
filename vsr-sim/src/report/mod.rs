//! What people and programs are told about runs.

pub mod grid;
pub mod history;
pub mod json;
pub mod moment;
pub mod sentences;
pub mod story;
pub mod summary;
pub mod text;
pub mod transcript;
