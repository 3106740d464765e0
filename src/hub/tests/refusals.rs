//! What the user is told when the hub says no, and what of it is tried again.

use super::hub_server::Fault;
use super::{CONFIG, Place, UNET, assert_says};
use crate::domain::{Cancel, ErrorKind, UserError};
use crate::hub::{Stage, Token};

/// What the user is told when the question about the repository is answered so.
fn told(status: u16, code: &str, signed_in: bool) -> UserError {
    let place = Place::new().with(|config| {
        config.token = signed_in.then(|| Token::parse("hf_test").unwrap().unwrap());
    });
    let headers = if code.is_empty() { Vec::new() } else { vec![("X-Error-Code", code.to_owned())] };
    place.server.fault_of_info(Fault::Status(status, headers));
    let error = place.plan().unwrap_err();
    assert_eq!(place.server.seen().len(), 1, "asked once: another try would end the same way");
    assert_eq!(error.kind, ErrorKind::Input);
    error
}

#[test]
fn a_gated_repository_says_where_to_accept_its_terms() {
    for status in [401, 403] {
        let error = told(status, "GatedRepo", true);
        assert_says(&error, "org/name", "accept the terms at http://127.0.0.1");
        assert_says(&error, "terms", "/org/name, then try again");
        assert_says(&told(status, "GatedRepo", false), "terms", "make a token");
    }
    assert_says(&told(403, "", true), "terms", "accept the terms");
    assert_says(&told(403, "Disabled", true), "does not allow", "/org/name");
}

#[test]
fn a_sign_in_is_asked_for_and_a_bad_token_named() {
    assert_says(&told(401, "", false), "sign-in", "/settings/tokens");
    assert_says(&told(401, "RepoNotFound", false), "sign-in", "check the name");
    assert_says(&told(401, "", true), "did not accept the access token", "new token");
    assert_says(&told(401, "RepoNotFound", true), "no repository org/name", "check the name");
}

#[test]
fn what_is_not_there_is_named() {
    assert_says(&told(404, "RepoNotFound", true), "no repository org/name", "check the name");
    assert_says(&told(404, "", false), "no repository org/name", "check the name");
    assert_says(&told(404, "RevisionNotFound", false), "no revision main", "/org/name/tree/main");
    let place = Place::new();
    place.server.fault(CONFIG, Fault::Status(404, vec![("X-Error-Code", "EntryNotFound".to_owned())]));
    assert_says(&place.download().unwrap_err(), CONFIG, "/org/name/tree/main");
}

#[test]
fn a_busy_hub_is_asked_again() {
    for status in [429, 500, 502, 503, 504] {
        let place = Place::new();
        place.server.fault_of_info(Fault::Status(status, vec![("Retry-After", "0".to_owned())]));
        place.server.fault(UNET, Fault::Status(status, Vec::new()));
        let mut waited = false;
        let report = &mut |progress: &crate::hub::Progress| waited |= progress.stage == Stage::Waiting;
        place.download_reported(&Cancel::default(), report).unwrap();
        assert!(waited, "{status}");
        place.assert_whole();
    }
}

#[test]
fn a_hub_that_stays_busy_is_given_up_after_the_tries() {
    let place = Place::new();
    for _ in 0..9 {
        place.server.fault(UNET, Fault::Status(503, Vec::new()));
    }
    assert_says(&place.download().unwrap_err(), "503", "later");
    let asked = place.server.seen().iter().filter(|seen| seen.path.contains(UNET)).count();
    assert_eq!(asked, 3);
    place.assert_absent();
}

#[test]
fn a_pause_that_nobody_would_wait_for_is_told() {
    let place = Place::new();
    place.server.fault_of_info(Fault::Status(429, vec![("Retry-After", "3600".to_owned())]));
    assert_says(&place.plan().unwrap_err(), "too many requests", "in 60 minutes");
    assert_eq!(place.server.seen().len(), 1);
}

#[test]
fn the_store_that_forgot_an_address_is_reached_by_a_new_one() {
    let place = Place::new();
    let gone = format!("{}/no-such-place", place.server.store);
    place.server.fault(UNET, Fault::RedirectTo(gone));
    place.download().unwrap();
    place.assert_whole();
}

#[test]
fn the_token_goes_to_the_hub_and_never_to_its_store() {
    let place = Place::new().with(|config| config.token = Token::parse("hf_test").unwrap());
    place.server.want_token("hf_test");
    let here = format!("/org/name/resolve/{}/{UNET}?again", super::COMMIT);
    place.server.fault(UNET, Fault::RedirectTo(here));
    place.server.fault(UNET, Fault::Cut(1000));
    place.download().unwrap();
    place.assert_whole();
    let seen = place.server.seen();
    let (store, hub): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.at_store);
    assert_eq!(store.len(), 2);
    for seen in store {
        let told = seen.headers.iter().any(|(name, value)| name == "authorization" || value.contains("hf_test"));
        assert!(!told && !seen.path.contains("hf_test"), "{seen:?}");
    }
    for seen in &hub {
        assert_eq!(seen.headers.get("authorization").map(String::as_str), Some("Bearer hf_test"), "{seen:?}");
    }
    assert!(hub.iter().any(|seen| seen.path.ends_with("?again")), "a redirect within the hub keeps the token");
}

#[test]
fn offline_means_that_nothing_is_asked() {
    let place = Place::new();
    let plan = place.plan().unwrap();
    let place = place.with(|config| config.offline = true);
    let asked = place.server.seen().len();
    assert_says(&place.plan().unwrap_err(), "HF_HUB_OFFLINE", "unset");
    assert_says(&place.hub.download(&plan, &Cancel::default(), &mut |_| {}).unwrap_err(), "HF_HUB_OFFLINE", "unset");
    assert_eq!(place.server.seen().len(), asked);
}
