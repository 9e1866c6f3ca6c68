//! Who asks, and what they may do: tokens, and the roles that are bound to users.

mod aggregation;
mod attributes;
mod authentication;
mod authorization;
mod certificate;
pub(crate) mod defaults;
mod escalation;
mod keys;
mod rule;
mod token;
mod upkeep;
mod user;

pub(crate) use self::{
    aggregation::refresh as refresh_aggregated,
    attributes::{Attributes, Subject},
    authentication::{authenticate, check_token},
    authorization::{Grants, authorize, decide, require},
    certificate::user as certificate_user,
    escalation::check as check_escalation,
    keys::Keys,
    rule::Rule,
    token::{Claims, ISSUER, LIFETIME},
    upkeep::keep,
};
pub use self::{
    token::{Bound, IssuedToken, TokenOrder},
    user::User,
};
