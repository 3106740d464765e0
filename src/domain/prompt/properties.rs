//! What must hold for any prompt, and the drawing of dynamic prompts by a known generator.

use std::convert::Infallible;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::limits;

/// Any text, and text in which syntax is likely.
fn prompts() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "(", ")", "[", "]", "{", "}", ":", "::", "|", "\\", "__", "$$", "$", "<lora:", "<", ">", "=", ",", " ", "\n",
        "BREAK", "AND", "1.2", "0.5", "5", "-", "2$$", "a", "word", "é", "𝄞", "*", ":1.3)", ":0.5]", "__w__", "te=",
    ]);
    prop_oneof![".{0,60}", prop::collection::vec(parts, 0..40).prop_map(|parts| parts.concat())]
}

/// A small generator (Marsaglia's xorshift32), so that a test's seed says what is drawn.
fn generator(seed: u32) -> impl FnMut() -> u32 {
    let mut state = seed.max(1);
    move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    }
}

fn list(texts: &[&str]) -> Arc<[Choice]> {
    texts.iter().map(|text| Choice::parse(text)).collect()
}

fn expanded(text: &str, seed: u32) -> Expansion {
    let lists = |name: &str| match name {
        "w" => Some(list(&["x", "{y|__v__}", "z"])),
        "v" => Some(list(&["v"])),
        "loop" => Some(list(&["__loop__ __loop__"])),
        _ => None,
    };
    expand(text, &lists, &mut generator(seed))
}

/// Everything that a text draws with many seeds, sorted.
fn drawn(text: &str) -> Vec<String> {
    let texts: std::collections::BTreeSet<_> = (1..400).map(|seed| expanded(text, seed * 7919).text).collect();
    texts.into_iter().collect()
}

#[test]
fn braces_and_wildcards_draw_each_option() {
    for (text, expected) in [
        ("{a|b} c", &["a c", "b c"][..]),
        ("{0::a|b}", &["b"]),
        ("{2$$a|b|c}", &["a, b", "a, c", "b, a", "b, c", "c, a", "c, b"]),
        ("{1-2$$ and $$a|b}", &["a", "a and b", "b", "b and a"]),
        ("{-1$$a|b}", &["a", "b"]),
        ("{3-$$a|b}", &["a, b", "b, a"]),
        ("{a{b|c}|d}", &["ab", "ac", "d"]),
        ("{[a|b]|c}", &["[a|b]", "c"]),
        ("__w__", &["v", "x", "y", "z"]),
        ("{2$$-$$__v__|q}", &["q-v", "v-q"]),
        ("{9$$+$$__v__}", &["v"]),
        ("{a}", &["a"]),
        (r"\{a|b\} snake__case", &[r"\{a|b\} snake__case"]),
    ] {
        assert_eq!(drawn(text), expected, "{text}");
    }
    assert_eq!(drawn("{2$$__w__}").len(), 10, "two of x, y or v, z in any order");
}

#[test]
fn weights_decide_how_often() {
    let count = (1..2000).filter(|seed| expanded("{3::a|b}", seed * 7919).text == "a").count();
    assert!((1400..1600).contains(&count), "{count} of 1999, where 1500 are expected");
}

#[test]
fn what_cannot_be_drawn_stays_and_is_named() {
    let unknown = expanded("a __none__ {b", 1);
    assert_eq!(unknown.text, "a __none__ {b");
    let name = "none".to_owned();
    assert_eq!(unknown.problems, [PromptProblem::UnknownWildcard { name }, PromptProblem::UnclosedBrace]);
    assert_eq!(expanded("${x=1} y", 1).text, "${x=1} y");
    let endless = expanded("__loop__", 1);
    assert!(endless.problems.contains(&PromptProblem::ExpansionTooDeep));
    assert!(endless.text.len() <= limits::MAX_PROMPT_BYTES);
}

#[test]
fn hostile_lengths_end_soon() {
    for part in ["(", "[", "{", "<a:", "__", "[a:", "a|", "(a:1.1)", "\\", ": ", "{a|", "__w__", "BREAK "] {
        let text = part.repeat(20_000);
        let prompt = Prompt::parse(&text, limits::MAX_STEPS);
        assert!(!prompt.parts.is_empty());
        assert!(expanded(&text, 1).text.len() <= limits::MAX_PROMPT_BYTES);
        assert_eq!(highlight(&text).last().map(|span| span.range.end), Some(text.len()));
    }
}

proptest! {
    #[test]
    fn schedules_cover_every_step(text in prompts(), steps in 1..60_u32) {
        let prompt = Prompt::parse(&text, steps);
        prop_assert!(!prompt.parts.is_empty());
        for part in prompt.parts.iter().chain(&Prompt::parse_negative(&text, steps).parts) {
            let ends: Vec<u32> = part.schedule.iter().map(|(until_step, _)| *until_step).collect();
            prop_assert!(ends[0] >= 1 && ends.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(*ends.last().unwrap(), steps);
            prop_assert!(part.schedule.windows(2).all(|pair| pair[0].1 != pair[1].1));
            for step in 1..=steps {
                prop_assert!(!part.at(step).pieces.is_empty());
            }
        }
    }

    #[test]
    fn weights_are_finite(text in prompts()) {
        for part in Prompt::parse(&text, 4).parts {
            prop_assert!(part.weight.is_finite());
            for piece in part.texts.iter().flat_map(|text| &text.pieces) {
                if let Piece::Run { weight, .. } = piece {
                    prop_assert!(weight.abs() <= MAX_WEIGHT);
                }
            }
        }
    }

    #[test]
    fn plain_text_comes_through(text in "[a-zé0-9 ,.;!?'-]{0,80}") {
        let prompt = Prompt::parse(&text, 20);
        let plain = Piece::Run { text: text.trim_end().to_owned(), weight: 1.0 };
        prop_assert_eq!(&prompt.parts[0].texts[0].pieces, &[plain]);
        prop_assert!(prompt.is_plain() && prompt.problems.is_empty());
        prop_assert_eq!(expanded(&text, 1), Expansion { text, problems: Vec::new() });
    }

    #[test]
    fn spans_cover_the_text_in_order(text in prompts()) {
        for spans in [highlight(&text), attention_spans(&text)] {
            let mut end = 0;
            for span in spans {
                prop_assert_eq!(span.range.start, end);
                prop_assert!(span.range.end > end && text.is_char_boundary(span.range.end));
                end = span.range.end;
            }
            prop_assert_eq!(end, text.len());
        }
    }

    /// Spans and pieces are two views of one reading: the same text with the same weights.
    #[test]
    fn spans_have_the_weights_of_the_pieces(text in "[a-c (:1.5)\\[\\]]{0,40}") {
        let mut from_spans: Vec<(char, f64)> = Vec::new();
        for span in attention_spans(&text).into_iter().filter(|span| span.kind == SpanKind::Text) {
            from_spans.extend(text[span.range].chars().map(|c| (c, span.weight)));
        }
        let mut from_pieces = Vec::new();
        for piece in parse_attention(&text).pieces {
            if let Piece::Run { text, weight } = piece {
                from_pieces.extend(text.chars().map(|c| (c, weight)));
            }
        }
        prop_assert_eq!(from_spans, from_pieces);
    }

    #[test]
    fn expansion_is_deterministic_and_bounded(text in prompts(), seed: u32) {
        let first = expanded(&text, seed);
        prop_assert!(first.text.len() <= limits::MAX_PROMPT_BYTES);
        prop_assert_eq!(first, expanded(&text, seed));
    }

    #[test]
    fn expansion_takes_any_generator(text in prompts(), number: u32) {
        let _ = expand(&text, &|_| Some(list(&["a", "2::b", "__x__"])), &mut || number);
    }

    #[test]
    fn chunks_have_77_ids_and_keep_the_text(text in prompts(), pad in prop_oneof![Just(0_u32), Just(49407)]) {
        let (start, end) = (49406, 49407);
        let special = SpecialIds { length: CHUNK_IDS, start, end, pad, comma: Some(267), embeddings: Vec::new() };
        // One id a character, from 1000 on; the comma is CLIP's.
        let mut expected = Vec::new();
        let pieces = parse_attention(&text.repeat(4)).pieces;
        let Ok(found) = chunks(&pieces, &special, |text| {
            let ids: Vec<u32> =
                text.chars().map(|c| if c == ',' { 267 } else { 1000 + u32::from(c) % 1000 }).collect();
            expected.extend_from_slice(&ids);
            Ok::<_, Infallible>(ids)
        });
        let mut ids = Vec::new();
        for chunk in &found.chunks {
            prop_assert_eq!(chunk.ids[0], special.start);
            let end = chunk.ids.iter().position(|&id| id == special.end).unwrap();
            ids.extend_from_slice(&chunk.ids[1..end]);
            let outside = |(index, weight): (usize, &f32)| (1..end).contains(&index) || *weight == 1.0;
            prop_assert!(chunk.weights.iter().enumerate().all(outside));
        }
        prop_assert_eq!(ids, expected);
        prop_assert!(found.tokens <= found.chunks.len() * special.tokens());
    }

    #[test]
    fn emphasis_of_ones_changes_nothing(hidden in prop::collection::vec(-9.0_f32..9.0, 6)) {
        let mut weighted = hidden.clone();
        apply_emphasis(&mut weighted, &[1.0; 3]);
        prop_assert_eq!(weighted, hidden);
    }

    #[test]
    fn emphasis_keeps_any_mean(hidden in prop::collection::vec(0.5_f32..9.0, 6), weights in prop::array::uniform3(0.5_f32..2.0)) {
        let mut weighted = hidden.clone();
        apply_emphasis(&mut weighted, &weights);
        let (old, new): (f32, f32) = (hidden.iter().sum(), weighted.iter().sum());
        prop_assert!((old - new).abs() <= 1e-5 * old, "{} became {}", old, new);
    }

    /// What is traced is what is read, and each letter of it is the one that stands where it says it comes from.
    #[test]
    fn traced_prompts_say_the_same(text in prompts(), steps in 1..8_u32) {
        let read = |prompt: Prompt| -> Vec<Vec<Piece>> {
            prompt.parts.into_iter().flat_map(|part| part.texts).map(|text| text.pieces).collect()
        };
        for (traced, expected) in [
            (trace(&Traced::of(&text), steps), read(Prompt::parse(&text, steps))),
            (trace_negative(&Traced::of(&text), steps), read(Prompt::parse_negative(&text, steps))),
        ] {
            let mut found = Vec::new();
            for pieces in traced {
                let mut plain = Vec::new();
                for piece in pieces {
                    plain.push(match piece {
                        TracedPiece::Break => Piece::Break,
                        TracedPiece::Run { text: run, weight } => {
                            for (at, c) in run.text.char_indices() {
                                prop_assert_eq!(text[run.origin(at)..].chars().next(), Some(c));
                            }
                            Piece::Run { text: run.text, weight }
                        }
                    });
                }
                found.push(plain);
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_drawn_comes_from_where_it_was_written(text in prompts(), seed: u32) {
        let lists = |_: &str| Some(list(&["x", "yy"]));
        let (traced, problems) = expand_traced(&text, &lists, &mut generator(seed));
        let plain = expand(&text, &lists, &mut generator(seed));
        prop_assert_eq!((&traced.text, &problems), (&plain.text, &plain.problems));
        for (at, _) in traced.text.char_indices() {
            prop_assert!(traced.origin(at) < text.len());
        }
    }

    #[test]
    fn remarks_stand_in_the_text(text in prompts(), is_negative: bool) {
        let names = Names { has_lora: Some(&|name| name == "a"), has_wildcard: Some(&|name| name == "w") };
        for remark in remarks(&text, is_negative, &names) {
            prop_assert!(text.get(remark.range.clone()).is_some_and(|marked| !marked.is_empty()), "{remark:?}");
        }
    }

    #[test]
    fn completions_stand_around_the_cursor(text in prompts(), at in 0..60_usize) {
        let cursor = (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        if let Some(stub) = stub_at(&text, cursor) {
            prop_assert!(stub.range.start <= cursor && cursor <= stub.range.end);
            prop_assert!(text.get(stub.range.clone()).is_some());
            let edit = complete(&text, &stub, "name");
            prop_assert!(edit.text.get(..edit.selection.start).is_some_and(|before| before.contains("name")));
        }
    }

    #[test]
    fn a_loras_weight_goes_up_and_down_again(hundredths in -150..180_i32, te in proptest::option::of(0..9_u8), step in prop_oneof![Just(0.1), Just(0.05)]) {
        // As an edit writes it: a point and a digit at least.
        let weight = f64::from(hundredths) / 100.0;
        let weight = if hundredths % 100 == 0 { format!("{weight:.1}") } else { weight.to_string() };
        let te = te.map(|te| format!(":{te}")).unwrap_or_default();
        let text = format!("a <lora:ink{te}:{weight}> b");
        let up = adjust_weight(&text, 8..8, step).unwrap();
        prop_assert!(up.text.starts_with("a <lora:ink") && up.text != text);
        prop_assert_eq!(adjust_weight(&up.text, up.selection, -step).unwrap().text, text);
    }

    #[test]
    fn weight_edits_touch_nothing_else(text in prompts(), start in 0..80_usize, end in 0..80_usize, up: bool) {
        if let Some(edit) = adjust_weight(&text, start..end, if up { 0.1 } else { -0.1 }) {
            prop_assert!(edit.text.get(edit.selection.clone()).is_some());
            prop_assert_ne!(&edit.text, &text);
        }
    }

    #[test]
    fn a_word_goes_up_and_down_again(before in "[a-z, ]{0,12}", word in "[a-zé]{1,8}", after in "[ ,][a-z, ]{0,12}", steps in 1..5_usize) {
        let text = format!("{before} {word}{after}");
        let cursor = before.len() + 1;
        let mut edit = Edit { text: text.clone(), selection: cursor..cursor };
        for step in [0.1; 5].iter().take(steps).chain([-0.1; 5].iter().take(steps)) {
            edit = adjust_weight(&edit.text, edit.selection, *step).unwrap();
            prop_assert_eq!(&edit.text[edit.selection.clone()], &word);
        }
        prop_assert_eq!(edit.text, text);
    }

    #[test]
    fn an_explicit_weight_goes_up_and_down_again(hundredths in 2..180_u32) {
        // Not from or to 1, where the brackets go away.
        prop_assume!(hundredths != 100 && hundredths != 90 && hundredths % 10 != 0);
        let text = format!("a (b c:{}), d", f64::from(hundredths) / 100.0);
        let up = adjust_weight(&text, 5..5, 0.1).unwrap();
        let down = adjust_weight(&up.text, up.selection, -0.1).unwrap();
        prop_assert_eq!(down.text, text);
    }

    #[test]
    fn wildcard_files_never_panic(content in prompts(), yaml in "[-a: #'\"\\[\\],|>\n ]{0,80}") {
        for content in [content, yaml] {
            let mut lists = WildcardLists::default();
            lists.add_txt("txt", &content);
            let _ = lists.add_yaml("yaml", &content);
            let _ = lists.add_json("json", &content);
            for name in lists.names().collect::<Vec<_>>() {
                prop_assert!(lists.choices(name).is_some_and(|choices| !choices.is_empty()));
            }
        }
    }
}
