//! Schemas of the CRDs where the derived one would not do.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A foreign object: any fields, all kept.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// Gives an enum with an `Other(String)` variant the schema of its known values.
macro_rules! string_enum {
    ($type:ident, [$($value:literal),+ $(,)?]) => {
        impl $type {
            /// The values that are known, as on the wire.
            pub const VALUES: &'static [&'static str] = &[$($value),+];
        }
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($value),+] })
            }
        }
    };
}
pub(crate) use string_enum;
