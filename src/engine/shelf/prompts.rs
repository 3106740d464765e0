//! The thread `atelier-prompts`: counts the tokens of the prompt that is being written, and lists wildcards. Begun when it
//! is first asked something; it ends when nobody can ask any more.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::list::Places;
use super::service::{Outbox, guarded, thread};
use crate::domain::prompt::{PromptAnswer, PromptQuery, WildcardCard};
use crate::domain::{ModelsEvent, Result};
use crate::pipeline::{Assets, PromptCounter};

/// Questions that may wait. An editor asks the next one when it has the answer to the last.
const CAPACITY: usize = 16;
/// How long what was read of the user's folders is taken for true, where nobody asks for it anew.
const FRESH: Duration = Duration::from_secs(5);

/// The near end of the thread.
#[derive(Default)]
pub struct Prompts {
    queries: Option<Sender<PromptQuery>>,
}

impl Prompts {
    /// Hands a question to the thread, without waiting.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn ask(&mut self, query: PromptQuery, places: &Places, outbox: &Outbox) -> Result<()> {
        let query = match &self.queries {
            None => query,
            Some(queries) => match queries.try_send(query) {
                // One that does not fit is of no use any more: those that wait are answered first.
                Ok(()) | Err(TrySendError::Full(_)) => return Ok(()),
                Err(TrySendError::Disconnected(query)) => query,
            },
        };
        let (sender, queries) = bounded(CAPACITY);
        let (places, outbox) = (places.clone(), outbox.clone());
        thread("atelier-prompts", move || run(&queries, &places, &outbox))?;
        // It has room: nothing was sent before.
        let _ = sender.try_send(query);
        self.queries = Some(sender);
        Ok(())
    }
}

fn run(queries: &Receiver<PromptQuery>, places: &Places, outbox: &Outbox) {
    let mut counter = PromptCounter::default();
    let mut known: Option<(Instant, Assets)> = None;
    while let Ok(query) = queries.recv() {
        let is_asked_for = query == PromptQuery::Wildcards;
        if is_asked_for || known.as_ref().is_none_or(|(read, _)| read.elapsed() > FRESH) {
            let found = guarded(|| {
                let (loras, embeddings) = (places.loras_dir.clone(), places.embeddings_dir.clone());
                Ok(Assets::find(loras, embeddings, &places.wildcards_dir))
            });
            known = Some((Instant::now(), found.unwrap_or_default()));
        }
        let Some((_, assets)) = &known else { continue };
        let answer = match query {
            PromptQuery::Wildcards => {
                let card = |(name, texts): (&str, usize)| WildcardCard { name: name.to_owned(), texts };
                PromptAnswer::Wildcards(assets.wildcards.counted().map(card).collect())
            }
            PromptQuery::Count(query) => {
                let counts = guarded(|| counter.count(&query, assets));
                PromptAnswer::Counted { query, counts }
            }
        };
        outbox.send(ModelsEvent::Prompt(answer));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::prompt::CountQuery;
    use crate::domain::{ModelRef, ModelsCommand};
    use crate::engine::shelf::{ModelsHandle, spawn};

    fn answer(handle: &ModelsHandle, query: PromptQuery) -> PromptAnswer {
        handle.send(ModelsCommand::Prompt(query)).unwrap();
        loop {
            let event = handle.event_within(Duration::from_mins(2)).expect("an answer comes");
            if let ModelsEvent::Prompt(answer) = event {
                return answer;
            }
        }
    }

    #[test]
    fn prompts_are_counted_and_wildcards_listed() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("colour.txt"), "red\nlight blue\n").unwrap();
        let places = Places { wildcards_dir: home.path().to_path_buf(), ..Places::default() };
        let handle = spawn(places, Arc::new(|| ())).unwrap();
        let cards = vec![WildcardCard { name: "colour".to_owned(), texts: 2 }];
        assert_eq!(answer(&handle, PromptQuery::Wildcards), PromptAnswer::Wildcards(cards));
        let query = |model: ModelRef, prompt: &str| CountQuery {
            model,
            prompt: prompt.to_owned(),
            negative_prompt: String::new(),
            steps: 1,
            seed: 0,
        };
        for (prompt, is_drawn) in [("a dress", false), ("a __colour__ dress", true)] {
            let asked = query(ModelRef::Starter, prompt);
            let PromptAnswer::Counted { query, counts } = answer(&handle, PromptQuery::Count(asked.clone())) else {
                panic!("it was to be counted");
            };
            let [counted, negative] = counts.unwrap();
            assert_eq!((query, counted.chunks, counted.is_drawn), (asked, 1, is_drawn));
            assert!(counted.last >= 2 && negative.last == 0);
        }
        let nowhere = query(ModelRef::Path(home.path().join("gone")), "a");
        let PromptAnswer::Counted { counts, .. } = answer(&handle, PromptQuery::Count(nowhere)) else {
            panic!("it was to be counted");
        };
        assert!(counts.is_err());
        handle.shut_down();
    }
}
