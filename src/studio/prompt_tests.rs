//! Tests of writing prompts, without a window.

use proptest::prelude::*;

use super::*;
use crate::domain::prompt::PromptStyle;
use crate::domain::{ModelRef, ModelsEvent, Settings, UserError};
use crate::library::UsedPrompt;
use crate::studio::tests::{generate, state, state_with};
use crate::studio::{Action, HistoryAction, StyleAction};

fn act(state: &mut State, action: PromptAction) -> Vec<Effect> {
    state.apply(Action::Prompt(action))
}

fn write(state: &mut State, text: &str) {
    state.apply(Action::Edit(Edit::Prompt(text.to_owned())));
}

/// Types letter by letter at the end.
fn type_at_end(state: &mut State, text: &str) {
    for c in text.chars() {
        let prompt = format!("{}{c}", state.draft.request.prompt);
        write(state, &prompt);
    }
}

fn count_asked(effects: &[Effect]) -> Option<CountQuery> {
    effects.iter().find_map(|effect| match effect {
        Effect::Models(ModelsCommand::Prompt(PromptQuery::Count(query))) => Some(query.clone()),
        _ => None,
    })
}

fn answer(state: &mut State, query: &CountQuery, prompt: TokenCount) -> Vec<Effect> {
    let counts = Ok([prompt, TokenCount { chunks: 1, per_chunk: 75, ..TokenCount::default() }]);
    state.on_models_event(ModelsEvent::Prompt(PromptAnswer::Counted { query: query.clone(), counts }))
}

#[test]
fn words_are_undone_one_by_one() {
    let mut state = state();
    write(&mut state, "");
    type_at_end(&mut state, "a red  dress");
    let mut seen = Vec::new();
    for _ in 0..4 {
        act(&mut state, PromptAction::Undo);
        seen.push(state.draft.request.prompt.clone());
    }
    assert_eq!(seen, ["a red  ", "a ", "", crate::studio::tests::STARTER.example_prompt]);
    act(&mut state, PromptAction::Undo);
    for expected in ["", "a ", "a red  ", "a red  dress"] {
        act(&mut state, PromptAction::RedoToo);
        assert_eq!(state.draft.request.prompt, expected);
    }
    act(&mut state, PromptAction::Redo);
    // A change after an undo: what was taken back is gone.
    act(&mut state, PromptAction::Undo);
    type_at_end(&mut state, "x");
    act(&mut state, PromptAction::Redo);
    assert_eq!(state.draft.request.prompt, "a red  x");
}

#[test]
fn a_rest_another_place_and_a_paste_are_steps_of_their_own() {
    let mut state = state();
    for (texts, rest, steps) in [
        (["", "a", "ab"], false, ["", ""]),
        (["", "a", "ab"], true, ["a", ""]),
        (["xy", "xay", "baxy"], false, ["xay", "xy"]),
        (["xy", "x", ""], false, ["xy", ""]),
        (["", "a", "a pasted"], false, ["a", ""]),
    ] {
        write(&mut state, texts[0]);
        act(&mut state, PromptAction::Rest);
        write(&mut state, texts[1]);
        if rest {
            act(&mut state, PromptAction::Rest);
        }
        write(&mut state, texts[2]);
        act(&mut state, PromptAction::Undo);
        assert_eq!(state.draft.request.prompt, steps[0], "{texts:?}");
        if steps[0] != texts[0] {
            act(&mut state, PromptAction::Undo);
            assert_eq!(state.draft.request.prompt, steps[1], "{texts:?}");
        }
    }
}

#[test]
fn every_field_is_undone_and_sliding_is_one_step() {
    let mut state = state();
    let before = state.draft.clone();
    for steps in [21, 22, 23] {
        state.apply(Action::Edit(Edit::Steps(steps)));
    }
    state.apply(Action::SwapSides);
    state.apply(Action::Edit(Edit::Size(96, 128)));
    state.apply(Action::RollSeed);
    state.apply(Action::Extra(crate::studio::Extra::Init(Some("/a.png".into()))));
    let model = ModelRef::Path("/models/b".into());
    state.apply(Action::Edit(Edit::Model(model.clone())));
    for _ in 0..4 {
        act(&mut state, PromptAction::Undo);
    }
    assert_eq!((state.draft.request.width_px, &state.draft.request.init), (128, &None));
    assert_eq!(state.draft.request.num_inference_steps, 23);
    act(&mut state, PromptAction::Undo);
    assert_eq!(state.draft, before);
    for _ in 0..5 {
        act(&mut state, PromptAction::Redo);
    }
    assert_eq!(state.draft.request.model, model);
    // Back at a model that failed or was never loaded, it is loaded.
    state.models.set(ModelRef::Starter, crate::studio::ModelStatus::Failed(UserError::input("broken")));
    let effects = act(&mut state, PromptAction::Undo);
    let loads = |effect: &Effect| matches!(effect, Effect::Engine(crate::domain::Command::Preload(ModelRef::Starter)));
    assert!(effects.iter().any(loads), "{effects:?}");
}

/// Acts that change the draft in all manners.
fn changes() -> impl Strategy<Value = Vec<Action>> {
    let text = || "[ab ]{0,3}";
    let change = prop_oneof![
        text().prop_map(|text| Action::Edit(Edit::Prompt(text))),
        text().prop_map(|text| Action::Edit(Edit::NegativePrompt(text))),
        (1..9_u32).prop_map(|steps| Action::Edit(Edit::Steps(steps))),
        (0..3_u64).prop_map(|seed| Action::Edit(Edit::Seed(seed))),
        Just(Action::SwapSides),
        Just(Action::ToggleSeedLock),
        Just(Action::Prompt(PromptAction::Rest)),
        Just(Action::Prompt(PromptAction::Weigh(Weigh::More))),
        any::<bool>().prop_map(|on| Action::Prompt(PromptAction::Style(StyleAction::Wear("Ink".to_owned(), on)))),
    ];
    prop::collection::vec(change, 0..30)
}

proptest! {
    #[test]
    fn all_is_taken_back_and_made_again(changes in changes()) {
        let mut state = state();
        let all = |state: &State| (state.draft.clone(), state.prompt.styles.applied.clone());
        let first = all(&state);
        for change in &changes {
            state.apply(change.clone());
        }
        let last = all(&state);
        for _ in &changes {
            act(&mut state, PromptAction::Undo);
        }
        prop_assert_eq!(all(&state), first);
        for _ in &changes {
            act(&mut state, PromptAction::Redo);
        }
        prop_assert_eq!(all(&state), last);
    }
}

#[test]
fn the_seed_that_generate_draws_is_no_step() {
    let mut state = state();
    write(&mut state, "a");
    generate(&mut state);
    let seed = state.draft.request.seed;
    write(&mut state, "b c");
    act(&mut state, PromptAction::Undo);
    assert_eq!((state.draft.request.prompt.as_str(), state.draft.request.seed), ("a", seed));
}

#[test]
fn undo_forgets_what_is_too_long_ago() {
    let mut state = state();
    for number in 0..300 {
        write(&mut state, &format!("prompt number {number}"));
    }
    for _ in 0..400 {
        act(&mut state, PromptAction::Undo);
    }
    assert_eq!(state.draft.request.prompt, "prompt number 99");
}

#[test]
fn one_count_is_asked_for_at_a_time() {
    let mut state = state();
    let first = count_asked(&state.start()).expect("the draft is counted at the start");
    assert_eq!((first.seed, first.steps), (0, 1), "plain text does not depend on them");
    write(&mut state, "{a|b}");
    let effects = state.apply(Action::Edit(Edit::NegativePrompt("[x:y:5]".to_owned())));
    assert_eq!(count_asked(&effects), None, "the first answer is awaited");
    let second = count_asked(&answer(&mut state, &first, TokenCount::default())).expect("the text is another one now");
    assert_eq!((second.prompt.as_str(), second.negative_prompt.as_str()), ("{a|b}", "[x:y:5]"));
    assert_eq!((second.seed, second.steps), (state.draft.request.seed, state.draft.request.num_inference_steps));
    assert_eq!(count_asked(&answer(&mut state, &second, TokenCount::default())), None);
    // One that could not be handed on is asked for after the next change.
    write(&mut state, "c");
    let command = ModelsCommand::Prompt(PromptQuery::Wildcards);
    state.on_models_refused(command, UserError::failed("busy"));
    assert!(count_asked(&state.apply(Action::Edit(Edit::Prompt("d".to_owned())))).is_some());
}

#[test]
fn borders_are_those_of_what_is_typed() {
    let mut state = state();
    let style =
        PromptStyle { name: "Old".to_owned(), prompt: "old {prompt}, ink".to_owned(), ..PromptStyle::default() };
    state.prompt.styles.list.push(style);
    write(&mut state, "one two three");
    let effects = act(&mut state, PromptAction::Style(StyleAction::Wear("Old".to_owned(), true)));
    let query = count_asked(&effects).or_else(|| {
        let first = state.prompt.counting.asked.clone()?;
        count_asked(&answer(&mut state, &first, TokenCount::default()))
    });
    let query = query.expect("the whole is counted");
    assert_eq!(query.prompt, "old one two three, ink");
    // In the style's words before and behind, and before `two`.
    let count = TokenCount { chunks: 4, last: 1, per_chunk: 75, borders: vec![2, 8, 18], is_drawn: false };
    answer(&mut state, &query, count);
    assert_eq!(state.tokens(PromptField::Prompt).map(|count| (count.text(), count.borders)), {
        Some(("chunk 4: 1 / 75".to_owned(), vec![4]))
    });
    write(&mut state, "one X two three");
    assert_eq!(state.tokens(PromptField::Prompt).map(|count| count.borders), Some(vec![4]), "what is before it stays");
    write(&mut state, "on two three");
    assert_eq!(state.tokens(PromptField::Prompt).map(|count| count.borders), Some(vec![]));
}

#[test]
fn weights_go_up_and_down_and_are_one_step() {
    let mut state = state();
    write(&mut state, "a red dress");
    act(&mut state, PromptAction::Cursor(PromptField::Prompt, 3..3));
    for _ in 0..3 {
        act(&mut state, PromptAction::Weigh(Weigh::More));
    }
    assert_eq!(state.draft.request.prompt, "a (red:1.3) dress");
    act(&mut state, PromptAction::Weigh(Weigh::LittleLess));
    assert_eq!(state.draft.request.prompt, "a (red:1.25) dress");
    assert_eq!(state.prompt.cursor, Some((PromptField::Prompt, 3..6)));
    act(&mut state, PromptAction::Undo);
    assert_eq!(state.draft.request.prompt, "a red dress");
    act(&mut state, PromptAction::Leave);
    act(&mut state, PromptAction::Weigh(Weigh::More));
    assert_eq!(state.draft.request.prompt, "a red dress", "nobody can tell which word is meant");
}

fn with_wildcards() -> State {
    let mut state = state();
    let card = |name: &str, texts| WildcardCard { name: name.to_owned(), texts };
    let cards = vec![card("animal/cat", 3), card("colour", 1), card("colour dark", 2)];
    state.on_models_event(ModelsEvent::Prompt(PromptAnswer::Wildcards(cards)));
    state
}

/// Types a text whole, with the cursor at its end.
fn typed(state: &mut State, text: &str) -> Vec<Effect> {
    write(state, text);
    act(state, PromptAction::Cursor(PromptField::Prompt, text.len()..text.len()))
}

fn offered(state: &State) -> Vec<&str> {
    state.prompt.completion.iter().flat_map(|open| &open.offered).map(|offered| offered.name.as_str()).collect()
}

#[test]
fn names_are_offered_while_one_types() {
    let mut state = with_wildcards();
    let effects = typed(&mut state, "a __");
    let asks = |effects: &[Effect]| {
        effects.iter().any(|effect| matches!(effect, Effect::Models(ModelsCommand::Prompt(PromptQuery::Wildcards))))
    };
    assert!(asks(&effects), "the list is read anew");
    assert_eq!(offered(&state), ["animal/cat", "colour", "colour dark"]);
    assert!(!asks(&typed(&mut state, "a __c")), "once");
    assert_eq!(offered(&state), ["colour", "colour dark", "animal/cat"]);
    act(&mut state, PromptAction::NextCompletion);
    act(&mut state, PromptAction::PreviousCompletion);
    act(&mut state, PromptAction::PreviousCompletion);
    assert_eq!(state.prompt.completion.as_ref().and_then(|open| open.chosen), Some(2), "round the end");
    act(&mut state, PromptAction::Complete);
    assert_eq!(state.draft.request.prompt, "a __animal/cat__");
    assert_eq!((offered(&state).len(), state.prompt.cursor.clone()), (0, Some((PromptField::Prompt, 16..16))));

    // Closed, it stays closed until another name is begun.
    typed(&mut state, "__c");
    act(&mut state, PromptAction::DropCompletions);
    typed(&mut state, "__co");
    assert!(offered(&state).is_empty());
    typed(&mut state, "__co, __c");
    assert_eq!(offered(&state).len(), 3);
    // A cursor that only passes by opens nothing, and closes what is open elsewhere.
    act(&mut state, PromptAction::Cursor(PromptField::Prompt, 4..4));
    assert!(offered(&state).is_empty());
    // A selection is no name.
    typed(&mut state, "__c");
    act(&mut state, PromptAction::Cursor(PromptField::Prompt, 0..3));
    assert!(offered(&state).is_empty());
}

#[test]
fn what_is_earlier_is_used_with_its_negative_prompt_and_without_styles() {
    let mut state = state_with(Settings { styles: vec!["Ink".to_owned()], ..Settings::default() });
    let effects = act(&mut state, PromptAction::History(HistoryAction::Open));
    let asked = |effects: &[Effect], text: &str| {
        let wanted = PromptsCommand::FindUsed(text.to_owned());
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Library(LibraryCommand::Prompts(asked)) if *asked == wanted))
    };
    assert!(asked(&effects, ""));
    assert!(asked(&act(&mut state, PromptAction::History(HistoryAction::Search("x".to_owned()))), "x"));
    let used =
        |prompt: &str| UsedPrompt { prompt: prompt.to_owned(), negative_prompt: "blurry".to_owned(), created_ms: 0 };
    let late = PromptsEvent::Used { search: String::new(), found: vec![used("late")] };
    state.on_prompts_event(late);
    assert!(state.prompt.history.as_ref().is_some_and(|history| history.is_waiting && history.found.is_empty()));
    let found = PromptsEvent::Used { search: "x".to_owned(), found: vec![used("x"), used("old x")] };
    state.on_prompts_event(found);
    for action in [HistoryAction::Next, HistoryAction::Next, HistoryAction::UseChosen] {
        act(&mut state, PromptAction::History(action));
    }
    let request = &state.draft.request;
    assert_eq!((request.prompt.as_str(), request.negative_prompt.as_str()), ("old x", "blurry"));
    assert!(state.prompt.history.is_none() && state.prompt.styles.applied.is_empty());
    act(&mut state, PromptAction::Undo);
    assert_eq!(state.prompt.styles.applied, ["Ink"], "one step back is all of it");
    assert_eq!(state.draft.request.negative_prompt, "");
}

#[test]
fn styles_are_expanded_into_what_is_made() {
    let mut state = state();
    let style = |action| PromptAction::Style(action);
    for (name, prompt, negative) in [("Ink", "{prompt}, ink", "blurry"), ("Old", "old photo of {prompt}", "")] {
        act(&mut state, style(StyleAction::New));
        for action in [
            StyleAction::Name(format!(" {name} ")),
            StyleAction::Prompt(prompt.to_owned()),
            StyleAction::Negative(negative.to_owned()),
        ] {
            act(&mut state, style(action));
        }
        let effects = act(&mut state, style(StyleAction::Save));
        let saves = |effect: &Effect| {
            matches!(effect, Effect::Library(LibraryCommand::Prompts(PromptsCommand::SaveStyles(all))) if
                all.last().is_some_and(|last| last.name == name))
        };
        assert!(effects.iter().any(saves), "{effects:?}");
    }
    act(&mut state, style(StyleAction::New));
    act(&mut state, style(StyleAction::Name("Ink".to_owned())));
    assert!(state.prompt.styles.problem().is_some(), "the name is taken");
    act(&mut state, style(StyleAction::Close));

    write(&mut state, "a dress");
    act(&mut state, style(StyleAction::Wear("Ink".to_owned(), true)));
    act(&mut state, style(StyleAction::Wear("Old".to_owned(), true)));
    assert_eq!(state.settings().styles, ["Ink", "Old"]);
    let job = generate(&mut state).expect("a job");
    assert_eq!(job.request.prompt, "old photo of a dress, ink");
    assert_eq!(job.request.negative_prompt, "blurry");
    assert_eq!(state.draft.request.prompt, "a dress", "what was written stays as it was");

    // Another name goes along; a deleted one is gone, until it is saved again.
    act(&mut state, style(StyleAction::Choose("Ink".to_owned())));
    act(&mut state, style(StyleAction::Name("Pen".to_owned())));
    act(&mut state, style(StyleAction::Save));
    assert_eq!(state.prompt.styles.applied, ["Pen", "Old"]);
    act(&mut state, style(StyleAction::Delete));
    assert_eq!((state.prompt.styles.applied.len(), state.prompt.styles.list.len()), (1, 1));
    act(&mut state, style(StyleAction::Save));
    assert_eq!(state.prompt.styles.list.len(), 2);

    // A prompt that is too long with its style cannot be made.
    act(&mut state, style(StyleAction::Choose("Old".to_owned())));
    act(&mut state, style(StyleAction::Prompt("x".repeat(crate::domain::limits::MAX_PROMPT_BYTES))));
    act(&mut state, style(StyleAction::Save));
    assert!(state.generate_blocked().is_some_and(|reason| reason.contains("bytes")));
}

#[test]
fn imported_styles_replace_none() {
    let mut state = state();
    let style = |name: &str, prompt: &str| PromptStyle {
        name: name.to_owned(),
        prompt: prompt.to_owned(),
        ..PromptStyle::default()
    };
    state.prompt.styles.list = vec![style("Ink", "ink"), style("Old", "old")];
    let styles = vec![style("Ink", "ink"), style("Old", "older"), style("New", "new")];
    state.on_prompts_event(PromptsEvent::Imported { styles, skipped: 1 });
    let names: Vec<_> = state.prompt.styles.list.iter().map(|style| style.name.as_str()).collect();
    assert_eq!(names, ["Ink", "Old", "Old 2", "New"]);
    let told = state.notices.list().last().expect("it is told").sentence.clone();
    assert_eq!(told, "2 styles imported; 1 was here already; 1 row without a style left out");
}
