//! How members are reached, as a program is told of it. The names in here are a promise, as in `output`.

use serde::Serialize;

use super::output::{PathFields, path_fields};
use crate::peer::api::Route;

/// A row of `paths`.
#[derive(Debug, Serialize)]
pub(super) struct RouteLine<'a> {
    name: &'a str,
    fingerprint: String,
    #[serde(flatten)]
    path: PathFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_s: Option<u64>,
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<bool>,
}

pub(super) fn route_line(route: &Route) -> RouteLine<'_> {
    RouteLine {
        name: route.name.as_str(),
        fingerprint: route.key.fingerprint().to_string(),
        path: path_fields(&route.path),
        remote: route.direct.map(|link| link.remote.to_string()),
        dialled: route.direct.map(|link| link.dialled),
        since_s: route.direct.map(|link| link.since_s),
        addresses: route.addresses.iter().map(ToString::to_string).collect(),
        online: route.online,
    }
}
