//! One test for each way in which a server or a network goes wrong.

use std::fs;
use std::time::Duration;

use super::hub_server::Fault;
use super::{CONFIG, Place, UNET, UNET_BYTES, assert_says, content};
use crate::hub::Stage;

#[test]
fn a_cut_connection_goes_on_where_it_was_cut() {
    let place = Place::new();
    let cuts = [UNET_BYTES / 100, UNET_BYTES / 2 - UNET_BYTES / 100, UNET_BYTES / 2 - 3000];
    for cut in cuts {
        place.server.fault(UNET, Fault::Cut(cut));
    }
    // Three tries do not do for three cuts; four do.
    let place = place.with(|config| config.timing.tries = 4);
    place.download().unwrap();
    place.assert_whole();
    // 1, 50 and 99 per cent of the file.
    assert_eq!(place.ranges(), ["", "bytes=3000-", "bytes=150000-", "bytes=297000-"]);
}

#[test]
fn a_server_that_stalls_is_left_and_asked_again() {
    let place = Place::new().with(|config| config.timing.stall = Duration::from_millis(50));
    place.server.fault(UNET, Fault::Stall(1000));
    let mut waited = false;
    let cancel = crate::domain::Cancel::default();
    // A busy machine can make further stalls.
    let done = place.download_reported(&cancel, &mut |progress| waited |= progress.stage == Stage::Waiting);
    if done.is_err() {
        place.with(|_| {}).download().unwrap();
        return;
    }
    assert!(waited);
    place.assert_whole();
    assert_eq!(place.ranges()[1], "bytes=1000-");
}

#[test]
fn a_server_without_ranges_sends_all_again() {
    let place = Place::new();
    place.server.fault(UNET, Fault::Cut(1000));
    place.server.fault(UNET, Fault::IgnoreRange);
    place.download().unwrap();
    place.assert_whole();
    assert_eq!(place.ranges(), ["", "bytes=1000-"]);
}

#[test]
fn a_range_that_was_not_asked_for_is_not_taken() {
    let place = Place::new();
    place.server.fault(UNET, Fault::Cut(1000));
    place.server.fault(UNET, Fault::WrongRange);
    place.download().unwrap();
    place.assert_whole();
    assert_eq!(place.ranges(), ["", "bytes=1000-", ""]);
}

#[test]
fn a_range_that_the_server_refuses_begins_again() {
    let place = Place::new();
    place.server.fault(UNET, Fault::Cut(1000));
    place.server.fault(UNET, Fault::RangeNotSatisfiable);
    place.download().unwrap();
    place.assert_whole();
    assert_eq!(place.ranges(), ["", "bytes=1000-", ""]);
}

#[test]
fn a_server_that_refuses_every_range_is_given_up() {
    let place = Place::new();
    for _ in 0..9 {
        place.server.fault(UNET, Fault::RangeNotSatisfiable);
    }
    assert_says(&place.download().unwrap_err(), UNET, "again later");
    place.assert_absent();
}

#[test]
fn other_content_in_between_begins_again() {
    let place = Place::new();
    place.server.fault(UNET, Fault::Cut(1000));
    place.server.fault(UNET, Fault::OtherEtag);
    place.download().unwrap();
    place.assert_whole();
    assert_eq!(place.ranges(), ["", "bytes=1000-", ""]);
}

#[test]
fn a_file_that_changed_on_the_hub_is_not_mixed_with_the_old_one() {
    let place = Place::new();
    place.server.fault(UNET, Fault::ChangedOnHub);
    assert_says(&place.download().unwrap_err(), "changed on the hub", "try again");
    place.assert_absent();
    place.download().unwrap();
    place.assert_whole();
}

#[test]
fn wrong_bytes_are_thrown_away_and_named() {
    let place = Place::new();
    place.server.fault(UNET, Fault::WrongBytes);
    let error = place.download().unwrap_err();
    assert_says(&error, UNET, "try again");
    assert!(error.sentence.contains("thrown away"), "{error}");
    place.assert_absent();
    assert!(!place.incomplete().exists(), "nothing to resume from");
    place.download().unwrap();
    place.assert_whole();
}

#[test]
fn a_wrong_beginning_of_an_earlier_download_is_replaced() {
    let place = Place::new();
    fs::create_dir_all(place.incomplete().parent().unwrap()).unwrap();
    fs::write(place.incomplete(), vec![0; 5000]).unwrap();
    place.download().unwrap();
    place.assert_whole();
    assert_eq!(place.ranges(), ["bytes=5000-", ""]);
}

#[test]
fn an_earlier_download_that_is_too_long_is_replaced() {
    let place = Place::new();
    fs::create_dir_all(place.incomplete().parent().unwrap()).unwrap();
    fs::write(place.incomplete(), vec![0; UNET_BYTES + 1]).unwrap();
    place.download().unwrap();
    place.assert_whole();
    assert_eq!(place.ranges(), [""]);
}

#[test]
fn an_earlier_download_that_only_lacked_its_name_needs_no_request() {
    let place = Place::new();
    fs::create_dir_all(place.incomplete().parent().unwrap()).unwrap();
    fs::write(place.incomplete(), content(UNET_BYTES)).unwrap();
    place.download().unwrap();
    place.assert_whole();
    assert!(place.ranges().is_empty());
}

#[test]
fn too_few_bytes_are_not_a_file() {
    let place = Place::new();
    for _ in 0..3 {
        place.server.fault(CONFIG, Fault::TooShort(1));
    }
    let error = place.download().unwrap_err();
    assert_says(&error, CONFIG, "try again");
    assert!(error.sentence.contains("17 bytes") && error.sentence.contains("18"), "{error}");
    place.assert_absent();
    place.download().unwrap();
    place.assert_whole();
}

#[test]
fn too_many_bytes_are_not_a_file() {
    let place = Place::new();
    for _ in 0..3 {
        place.server.fault(UNET, Fault::TooLong);
    }
    assert_says(&place.download().unwrap_err(), UNET, "try again");
    place.assert_absent();
    place.download().unwrap();
    place.assert_whole();
}

#[test]
fn a_web_page_is_not_a_model() {
    for file in [UNET, CONFIG] {
        let place = Place::new();
        place.server.fault(file, Fault::WebPage);
        assert_says(&place.download().unwrap_err(), "web page", "sign-in");
        place.assert_absent();
    }
    let place = Place::new();
    place.server.fault_of_info(Fault::WebPage);
    assert_says(&place.download().unwrap_err(), "web page", "sign-in");
}

#[test]
fn redirects_that_lead_astray_are_not_followed() {
    for location in ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://"] {
        let place = Place::new();
        place.server.fault(UNET, Fault::RedirectTo(location.to_owned()));
        assert_says(&place.download().unwrap_err(), "redirects", "proxy");
        place.assert_absent();
    }
    let place = Place::new();
    let here = format!("/org/name/resolve/{}/{UNET}", super::COMMIT);
    for _ in 0..20 {
        place.server.fault(UNET, Fault::RedirectTo(here.clone()));
    }
    assert_says(&place.download().unwrap_err(), "redirects", "proxy");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::new().with(|config| config.endpoint = format!("http://{closed}"));
    assert_says(&place.download().unwrap_err(), "127.0.0.1", "online");
}

#[test]
fn names_that_lead_out_of_the_cache_are_never_files() {
    let place = Place::new();
    for name in ["../../../evil", "unet/../../../../evil", "/evil", "C:\\evil", "unet/nul", "unet/a\0b"] {
        place.server.list_also(name);
    }
    let info = place.hub.info(&place.repo, "main", &crate::domain::Cancel::default()).unwrap();
    assert_eq!(info.refused_names.len(), 6);
    place.download().unwrap();
    place.assert_whole();
    // Nor by a plan that did not come from the hub.
    let mut plan = place.plan().unwrap();
    plan.files[0].name = "../../../evil".to_owned();
    let error = place.hub.download(&plan, &crate::domain::Cancel::default(), &mut |_| {}).unwrap_err();
    assert!(error.sentence.contains("not a safe name"), "{error}");
    let mut plan = place.plan().unwrap();
    plan.files[0].etag = "../../evil".to_owned();
    assert!(place.hub.download(&plan, &crate::domain::Cancel::default(), &mut |_| {}).is_err());
}
