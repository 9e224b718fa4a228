//! What is known of Traefik's dynamic configuration: its fields, and what refers to what in it.
//!
//! One field that Traefik does not know, one empty object or one value of a wrong kind, and Traefik
//! drops the whole document. So a document is judged here before it is served.
//!
//! - [`schema`] describes every field that Traefik's decoder takes, as JSON Schema, from `fields.txt`.
//! - [`patterns`] are the two patterns of that schema, for numbers and durations in a string.
//! - [`rule`] reads the rules of HTTP routers.
//! - [`references`] finds the names in a document, and those that nothing defines.
//!
//! The rule of the schema: what Traefik takes and uses as it is written is taken; what makes Traefik
//! drop the document is refused, and so is what Traefik would silently ignore or mangle, such as a
//! `null` or a list in the place of a string.

mod kind;
pub mod patterns;
pub mod references;
pub mod rule;
pub mod schema;
