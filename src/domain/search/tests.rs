//! Tests of the search language: what people type, what they have not finished typing, and any text at all.

use proptest::prelude::*;

use super::*;
use crate::domain::{FamilyId, SamplerId};

fn term(test: Test) -> Term {
    Term { is_negated: false, test }
}

fn not(test: Test) -> Term {
    Term { is_negated: true, test }
}

fn words(text: &str) -> Test {
    Test::Words(Words { text: text.into(), is_prefix: false })
}

fn prefix(text: &str) -> Test {
    Test::Words(Words { text: text.into(), is_prefix: true })
}

fn at_least(value: u64) -> Span<u64> {
    Span { low: Some(Edge { value, is_included: true }), high: None }
}

const NOVEMBER: Day = Day::Calendar { year: 2026, month: Some(11), day: None };

/// The query of a text that is understood in full.
fn read(text: &str) -> Vec<Vec<Term>> {
    let parsed = parse(text);
    assert_eq!(parsed.hints, [], "{text}");
    parsed.query.all
}

/// The one test of a text.
fn one(text: &str) -> Test {
    let mut all = read(text);
    assert_eq!((all.len(), all[0].len(), all[0][0].is_negated), (1, 1, false), "{text}");
    all.remove(0).remove(0).test
}

#[test]
fn words_and_phrases_must_all_be_there_and_the_last_may_go_on() {
    assert_eq!(read("red dress"), [[term(words("red"))], [term(prefix("dress"))]]);
    assert_eq!(read("red dress "), [[term(words("red"))], [term(words("dress"))]]);
    assert_eq!(read("-cat \"on a  chair\""), [[not(words("cat"))], [term(words("on a  chair"))]]);
    assert_eq!(read("\"on a ch"), [[term(prefix("on a ch"))]]);
    assert_eq!(read("dre* \"a lo\"* x "), [[term(prefix("dre"))], [term(prefix("a lo"))], [term(words("x"))]]);
    assert_eq!(read(r#""say \"hi\" \n""#), [[term(words(r#"say "hi" \n"#))]]);
    assert_eq!(read("絹のドレス"), [[term(prefix("絹のドレス"))]]);
    assert_eq!(
        read("prompt:\"a b\" neg:x "),
        [
            [term(Test::WordsIn(Key::Prompt, Words { text: "a b".into(), is_prefix: false }))],
            [term(Test::WordsIn(Key::Negative, Words { text: "x".into(), is_prefix: false }))],
        ]
    );
}

#[test]
fn or_joins_its_neighbours() {
    assert_eq!(read("red OR blue dress "), [vec![term(words("red")), term(words("blue"))], vec![term(words("dress"))]]);
    assert_eq!(read("a | -star:yes OR c "), [[term(words("a")), not(Test::YesNo(Key::Star, true)), term(words("c"))]]);
    for text in ["OR cat ", "OR OR cat OR", "cat  | "] {
        assert_eq!(read(text), [[term(words("cat"))]], "{text}");
    }
    assert_eq!(read("or \"OR\""), [[term(words("or"))], [term(words("OR"))]]);
}

#[test]
fn every_example_of_the_keys_is_understood_and_every_key_has_a_row() {
    for info in KEYS {
        assert_eq!(info.key.info(), info, "two rows of one key");
        read(info.example);
        for name in [info.name, info.name.to_uppercase().as_str()].iter().chain(info.aliases) {
            assert_eq!(Key::from_name(name), Some(info.key));
        }
    }
    let names: Vec<&str> =
        KEYS.iter().flat_map(|info| [info.name].into_iter().chain(info.aliases.iter().copied())).collect();
    let distinct: std::collections::HashSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len());
    assert_eq!(KEYS.len(), Key::Hires as usize + 1, "`Hires` is the last key");
    for id in FamilyId::ALL {
        assert_eq!(serde_json::to_value(id).unwrap(), family_name(id));
    }
}

#[test]
fn numbers_and_spans_of_them() {
    let span = |low: Option<(u64, bool)>, high: Option<(u64, bool)>| {
        let edge = |(value, is_included)| Edge { value, is_included };
        Test::Whole(Key::Steps, Span { low: low.map(edge), high: high.map(edge) })
    };
    for (text, expected) in [
        ("steps:20", span(Some((20, true)), Some((20, true)))),
        ("steps:=20", span(Some((20, true)), Some((20, true)))),
        ("steps:>20", span(Some((20, false)), None)),
        ("steps:>=20", span(Some((20, true)), None)),
        ("steps:≥20", span(Some((20, true)), None)),
        ("steps:<20", span(None, Some((20, false)))),
        ("steps:<=20", span(None, Some((20, true)))),
        ("steps:20..30", span(Some((20, true)), Some((30, true)))),
        ("steps:20..", span(Some((20, true)), None)),
        ("steps:..30", span(None, Some((30, true)))),
        ("steps:20.", span(Some((20, true)), Some((20, true)))),
    ] {
        assert_eq!(one(text), expected, "{text}");
    }
    assert_eq!(one("guidance:7.5"), Test::Number(Key::Guidance, Span::one(7.5)));
    assert_eq!(one("seed:18446744073709551615"), Test::Whole(Key::Seed, Span::one(u64::MAX)));
    assert_eq!(one("size:512x768"), Test::Dimensions(512, 768));
    assert_eq!(one("size:>=768"), Test::Whole(Key::Size, at_least(768)));
}

#[test]
fn days_months_years_and_days_told_from_today() {
    let day = |day| Day::Calendar { year: 2026, month: Some(11), day: Some(day) };
    let included = |value| Some(Edge { value, is_included: true });
    assert_eq!(one("date:2026-11"), Test::Date(Span::one(NOVEMBER)));
    assert_eq!(one("date:2026-11-03"), Test::Date(Span::one(day(3))));
    assert_eq!(one("date:2026-11-03..2026-11-20"), Test::Date(Span { low: included(day(3)), high: included(day(20)) }));
    assert_eq!(
        one("date:<2026-11"),
        Test::Date(Span { low: None, high: Some(Edge { value: NOVEMBER, is_included: false }) })
    );
    assert_eq!(one("date:today"), Test::Date(Span::one(Day::Today)));
    assert_eq!(one("date:7d"), Test::Date(Span::one(Day::Last(7))));
    assert_eq!(
        one("date:2024-02-29"),
        Test::Date(Span::one(Day::Calendar { year: 2024, month: Some(2), day: Some(29) }))
    );
    for bad in ["2026-13", "2026-02-29", "1900-02-29", "2026-11-31", "0000", "20261", "2026-11-3-1", "0d", "2026-00"] {
        assert!(matches!(parse(&format!("date:{bad}")).hints[0].kind, HintKind::BadValue { .. }), "{bad}");
    }
}

#[test]
fn at_no_letter_is_there_an_error_while_a_query_is_typed() {
    let text = "red \"on a chair\" -cat sampler:euler_a size:>768 steps:20..30 guidance:7.5 date:2026-11-03..2026-11-20 \
                star:yes rating:>=3 safe:no";
    for (end, _) in text.char_indices() {
        for hint in parse(&text[..end]).hints {
            assert!(hint.is_unfinished(), "{:?} says {}", &text[..end], hint.sentence());
            assert!(text[..end].ends_with(&text[hint.place]), "what is unfinished is what is being typed");
        }
    }
    assert_eq!(parse(text).query.all.len(), 11);
}

#[test]
fn what_is_not_understood_is_told_with_its_place_and_what_may_be_meant() {
    let hint = |text: &str| {
        let mut parsed = parse(text);
        assert_eq!(parsed.hints.len(), 1, "{text}");
        let hint = parsed.hints.remove(0);
        (text[hint.place.clone()].to_owned(), hint.suggestion(), hint.sentence(), parsed.query.all.len())
    };
    let (place, nearest, sentence, clauses) = hint("dress samler:euler x");
    assert_eq!((place.as_str(), nearest, clauses), ("samler", Some("sampler"), 3));
    assert_eq!(sentence, "There is no samler: to search by: did you mean sampler?");
    let (place, nearest, _, clauses) = hint("sampler:eulr_a x");
    assert_eq!((place.as_str(), nearest, clauses), ("eulr_a", Some("euler_a"), 1));
    let (place, nearest, sentence, _) = hint("steps:many");
    assert_eq!((place.as_str(), nearest), ("many", None));
    assert_eq!(sentence, "After steps: comes a number such as 20, >20 or 20..30");
    assert_eq!(hint("art:nouveau").1, None);
    assert_eq!(hint("xyz:1").1, None);
    assert_eq!(hint("stpes:3").1, Some("steps"));
    assert_eq!(hint("seed:99999999999999999999").3, 0);
}

#[test]
fn names_are_found_by_how_they_begin() {
    assert_eq!(samplers("euler"), [SamplerId::Euler]);
    assert_eq!(samplers("DPM++ 2M"), [SamplerId::DpmPp2m]);
    assert!(samplers("dpm").contains(&SamplerId::Dpm2) && samplers("dpm").contains(&SamplerId::DpmPpSde));
    assert_eq!(samplers(""), []);
    assert_eq!(families("sdxl"), [FamilyId::Sdxl]);
    assert_eq!(families("SD-Turbo"), [FamilyId::SdTurbo]);
    assert_eq!(schedules("karr").len(), 1);
}

fn any_words() -> impl Strategy<Value = Words> {
    let text = prop_oneof!["[a-z]{1,6}", "(?s).{0,12}[a-z0-9].{0,6}", Just("OR".to_owned())];
    (text, any::<bool>()).prop_map(|(text, is_prefix)| Words { text, is_prefix })
}

fn any_span<T: Copy + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + Clone + 'static,
) -> BoxedStrategy<Span<T>> {
    let edge = |value, is_included| Some(Edge { value, is_included });
    prop_oneof![
        value.clone().prop_map(Span::one),
        (value.clone(), any::<bool>())
            .prop_map(move |(low, is_included)| Span { low: edge(low, is_included), high: None }),
        (value.clone(), any::<bool>())
            .prop_map(move |(high, is_included)| Span { low: None, high: edge(high, is_included) }),
        (value.clone(), value).prop_map(move |(low, high)| Span { low: edge(low, true), high: edge(high, true) }),
    ]
    .boxed()
}

fn any_day() -> impl Strategy<Value = Day> + Clone {
    prop_oneof![
        Just(Day::Today),
        Just(Day::Yesterday),
        (1..=u16::MAX).prop_map(Day::Last),
        (1..=9999_u16, proptest::option::of(1..=12_u8), proptest::option::of(1..=28_u8))
            .prop_map(|(year, month, day)| Day::Calendar { year, month, day: month.and(day) }),
    ]
}

fn any_test() -> impl Strategy<Value = Test> {
    prop_oneof![
        any_words().prop_map(Test::Words),
        any_words().prop_map(|words| Test::WordsIn(Key::Negative, words)),
        "(?s).{0,10}[^\\s].{0,4}".prop_map(|text| Test::Text(Key::Collection, text)),
        (0..SamplerId::ALL.len()).prop_map(|at| Test::Text(Key::Sampler, SamplerId::ALL[at].label().into())),
        any_span(any::<u64>()).prop_map(|span| Test::Whole(Key::Seed, span)),
        any_span(-1e9..1e9_f64).prop_map(|span| Test::Number(Key::Guidance, span)),
        any::<(u64, u64)>().prop_map(|(width, height)| Test::Dimensions(width, height)),
        any_span(any_day()).prop_map(Test::Date),
        any::<bool>().prop_map(|yes| Test::YesNo(Key::Safe, yes)),
    ]
}

fn any_query() -> impl Strategy<Value = Query> {
    let term = (any::<bool>(), any_test()).prop_map(|(is_negated, test)| Term { is_negated, test });
    let clause = proptest::collection::vec(term, 1..4);
    proptest::collection::vec(clause, 0..6).prop_map(|all| Query { all })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same(query in any_query()) {
        let text = query.to_string();
        let parsed = parse(&text);
        prop_assert_eq!(&parsed.query, &query, "{}", text);
        prop_assert!(parsed.hints.is_empty());
    }

    #[test]
    fn any_text_is_read_and_what_was_read_is_printed_and_read_again(text in "(?s).{0,200}") {
        let parsed = parse(&text);
        prop_assert!(parsed.query.all.iter().all(|clause| !clause.is_empty()));
        prop_assert!(parsed.hints.iter().all(|hint| text.get(hint.place.clone()).is_some_and(|part| !part.is_empty())));
        prop_assert_eq!(parse(&parsed.query.to_string()).query, parsed.query);
    }

    #[test]
    fn any_text_of_the_languages_own_signs_is_read(
        text in "([a-z]{1,3}|-|\"|\\*|:|size:|date:|steps:|guidance:|prompt:|in:|safe:|[0-9]{1,4}|\\.\\.|>|<=|=| |OR|x|\\\\){0,30}"
    ) {
        let parsed = parse(&text);
        prop_assert_eq!(parse(&parsed.query.to_string()).query, parsed.query);
        for hint in &parsed.hints {
            prop_assert!(text.get(hint.place.clone()).is_some());
            let _ = hint.sentence();
        }
    }
}
