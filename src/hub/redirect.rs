//! Where a redirect may lead, and which hosts may see the access token.

use ureq::http::Uri;

/// The address that a `Location` header means, as seen from the page that sent it. `None` when it is no web address.
pub(super) fn join(from: &Uri, location: &str) -> Option<Uri> {
    let location = location.trim().split('#').next().unwrap_or_default();
    let scheme = from.scheme_str()?;
    let authority = from.authority()?;
    let text = if location.starts_with("http://") || location.starts_with("https://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.is_empty() || location.split(['/', '?']).next().is_some_and(|start| start.contains(':')) {
        return None;
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let uri: Uri = text.parse().ok()?;
    uri.host().filter(|host| !host.is_empty())?;
    Some(uri)
}

/// Whether a redirect keeps what the first address promised: from https it never leads to http.
pub(super) fn is_allowed(from: &Uri, to: &Uri) -> bool {
    to.scheme_str() == Some("https") || (to.scheme_str() == Some("http") && from.scheme_str() == Some("http"))
}

/// Whether two addresses are served by the same host: same name, same port.
///
/// The same name on https's own port is the same host seen from http's own port.
pub(super) fn is_same_host(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    let is_upgrade = |from: &Uri, to: &Uri| {
        from.scheme_str() == Some("http") && port(from) == 80 && to.scheme_str() == Some("https") && port(to) == 443
    };
    host(one).is_some()
        && host(one) == host(other)
        && (port(one) == port(other) && one.scheme_str() == other.scheme_str() || is_upgrade(one, other))
}

/// Whether the token for `endpoint` may be sent to `to`: only to the same host, and unencrypted only within this machine.
pub(super) fn may_see_token(endpoint: &Uri, to: &Uri) -> bool {
    is_same_host(endpoint, to) && (to.scheme_str() == Some("https") || is_this_machine(to))
}

/// Whether an address is one of this machine's own.
pub(super) fn is_this_machine(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn locations_are_joined_as_browsers_do() {
        let from = uri("https://hub.example/org/name/resolve/main/a.json");
        let to = |location: &str| join(&from, location).map(|uri| uri.to_string());
        assert_eq!(to("https://cdn.example/x?y=z#part").as_deref(), Some("https://cdn.example/x?y=z"));
        assert_eq!(to("//cdn.example/x").as_deref(), Some("https://cdn.example/x"));
        assert_eq!(to("/api/x").as_deref(), Some("https://hub.example/api/x"));
        assert_eq!(to("b.json").as_deref(), Some("https://hub.example/org/name/resolve/main/b.json"));
        for none in ["", "file:///etc/passwd", "javascript:1", "http://", "data:,x", "#x"] {
            assert_eq!(to(none), None, "{none}");
        }
    }

    #[test]
    fn https_never_becomes_http() {
        assert!(is_allowed(&uri("http://a/"), &uri("https://a/")));
        assert!(is_allowed(&uri("http://a/"), &uri("http://b/")));
        assert!(is_allowed(&uri("https://a/"), &uri("https://b/")));
        assert!(!is_allowed(&uri("https://a/"), &uri("http://a/")));
    }

    #[test]
    fn only_the_endpoints_own_host_sees_the_token() {
        let sees = |endpoint: &str, to: &str| may_see_token(&uri(endpoint), &uri(to));
        assert!(sees("https://hub.example", "https://HUB.example/x"));
        assert!(sees("https://hub.example", "https://hub.example:443/x"));
        assert!(sees("http://hub.example", "https://hub.example/x"), "the same host, now encrypted");
        assert!(sees("http://127.0.0.1:8080", "http://127.0.0.1:8080/x"));
        for (endpoint, to) in [
            ("https://hub.example", "https://cdn.hub.example/x"),
            ("https://hub.example", "https://hub.example.evil/x"),
            ("https://hub.example", "https://hub.example:444/x"),
            ("https://hub.example", "http://hub.example/x"),
            ("http://hub.example", "http://hub.example/x"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8081/x"),
        ] {
            assert!(!sees(endpoint, to), "{endpoint} → {to}");
        }
    }
}
