//! The worker thread with a real model: the order of its events, cancelling, errors and panics that end one job only.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atelier::domain::{
    Cancel, Command, ErrorKind, Event, Fork, GenerateRequest, Job, JobId, ModelRef, Picture, PictureEntry, PictureId,
    Recipe, Result, UserError,
};
use atelier::engine::{EngineHandle, Keep, LookUp, Save, spawn};
use atelier::pipeline::Assets;

/// Long enough for the slowest machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_mins(2);

fn request(steps: u32) -> GenerateRequest {
    GenerateRequest {
        prompt: "a red dress".to_owned(),
        width_px: 64,
        height_px: 64,
        num_inference_steps: steps,
        seed: 7,
        ..GenerateRequest::default()
    }
}

fn job(id: u64, request: GenerateRequest) -> Job {
    Job {
        id: JobId(id),
        request,
        pictures_dir: PathBuf::from("pictures"),
        is_checked: true,
        done: 0,
        keeps_steps: false,
        cancel: Cancel::default(),
    }
}

/// No adapters and no embeddings.
fn no_assets() -> LookUp {
    Box::new(Assets::default)
}

/// Keeps what was saved in a list.
fn keeping(list: &Arc<Mutex<Vec<(Picture, Recipe)>>>) -> Save {
    let list = Arc::clone(list);
    Box::new(move |folder, picture, recipe| {
        assert_eq!(folder, "pictures");
        let mut list = list.lock().unwrap();
        list.push((picture.clone(), recipe.clone()));
        Ok(PictureEntry {
            id: PictureId(list.len() as i64),
            path: PathBuf::from(format!("{}.png", list.len())),
            created_ms: 0,
            width_px: picture.width_px,
            height_px: picture.height_px,
            recipe: Some(recipe.clone()),
        })
    })
}

/// Every event up to the one that ends `job`.
fn until_end(engine: &EngineHandle, job: JobId, mut each: impl FnMut(&Event)) -> Vec<Event> {
    let begun = Instant::now();
    let mut events = Vec::new();
    loop {
        assert!(begun.elapsed() < PATIENCE, "no end of {job:?} after {events:?}");
        let Some(event) = engine.try_event() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        each(&event);
        events.push(event.clone());
        match event {
            Event::Done { job: ended } | Event::Cancelled { job: ended } | Event::Failed { job: ended, .. }
                if ended == job =>
            {
                return events;
            }
            _ => {}
        }
    }
}

#[test]
fn a_job_tells_its_steps_and_ends_once() {
    let saved = Arc::default();
    let woken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&woken);
    let engine = spawn(
        keeping(&saved),
        no_assets(),
        Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }),
    )
    .unwrap();
    let request = GenerateRequest { count: 2, ..request(3) };
    engine.send(Command::Generate(Box::new(job(1, request.clone())))).unwrap();
    let events = until_end(&engine, JobId(1), |_| ());

    assert!(matches!(events[0], Event::Started { .. }));
    assert!(matches!(events[1], Event::ModelLoading { model: ModelRef::Starter }));
    assert!(matches!(events.last(), Some(Event::Done { .. })));
    let steps: Vec<(u32, u32, u32)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Step { index, step, steps, preview, .. } => {
                assert_eq!((preview.width_px, preview.height_px), (8, 8));
                Some((*index, *step, *steps))
            }
            _ => None,
        })
        .collect();
    assert_eq!(steps, [(0, 1, 3), (0, 2, 3), (0, 3, 3), (1, 1, 3), (1, 2, 3), (1, 3, 3)]);
    let finished: Vec<_> =
        events.iter().filter(|event| matches!(event, Event::Finished { saved: Ok(_), .. })).collect();
    assert_eq!(finished.len(), 2);
    assert!(woken.load(Ordering::Relaxed) >= events.len());
    // All steps of a picture are told just before its end, none left out.
    for (place, event) in events.iter().enumerate() {
        let Event::Finished { index, .. } = event else { continue };
        let Event::Steps { index: of, steps, .. } = &events[place - 1] else { panic!("{:?}", events[place - 1]) };
        assert_eq!((of, steps.iter().map(|step| step.step).collect::<Vec<_>>()), (index, vec![1, 2, 3]));
    }

    // Each picture's recipe makes just that picture again.
    let saved = saved.lock().unwrap().clone();
    assert_eq!(saved.iter().map(|(_, recipe)| recipe.request.seed).collect::<Vec<_>>(), [7, 8]);
    assert!(saved[0].0 != saved[1].0);
    let again = Arc::default();
    let other = spawn(keeping(&again), no_assets(), Box::new(|| ())).unwrap();
    other.send(Command::Generate(Box::new(job(2, saved[1].1.request.clone())))).unwrap();
    until_end(&other, JobId(2), |_| ());
    assert!(again.lock().unwrap()[0].0 == saved[1].0, "a recipe gives its picture to the byte");
    other.shut_down();
    engine.shut_down();
}

#[test]
fn a_cancelled_job_saves_nothing_and_the_next_one_works() {
    let saved = Arc::default();
    let engine = spawn(keeping(&saved), no_assets(), Box::new(|| ())).unwrap();
    let first = job(1, request(400));
    let cancel = first.cancel.clone();
    engine.send(Command::Generate(Box::new(first))).unwrap();
    let mut steps = 0;
    let events = until_end(&engine, JobId(1), |event| {
        if matches!(event, Event::Step { .. }) {
            cancel.cancel();
            steps += 1;
        }
    });
    assert!(matches!(events.last(), Some(Event::Cancelled { .. })));
    assert!(steps < 100, "{steps} steps after the cancel");
    assert!(saved.lock().unwrap().is_empty());
    engine.send(Command::Generate(Box::new(job(2, request(2))))).unwrap();
    assert!(matches!(until_end(&engine, JobId(2), |_| ()).last(), Some(Event::Done { .. })));
    engine.shut_down();
}

#[test]
fn errors_and_panics_end_their_job_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "no model").unwrap();
    let calls = AtomicUsize::new(0);
    let save: Save = Box::new(move |folder, picture, recipe| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => panic!("a fault in saving"),
        1 => Err(UserError::failed("The disk is full")),
        _ => keeping(&Arc::default())(folder, picture, recipe),
    });
    let engine = spawn(save, no_assets(), Box::new(|| ())).unwrap();
    let end = |id: u64, request: GenerateRequest| {
        engine.send(Command::Generate(Box::new(job(id, request)))).unwrap();
        until_end(&engine, JobId(id), |_| ())
    };

    let no_model = GenerateRequest { model: ModelRef::Path(text.clone()), ..request(2) };
    let Some(Event::Failed { error, .. }) = end(1, no_model).pop() else { panic!("it must fail") };
    assert_eq!((error.kind, error.path), (ErrorKind::Input, Some(text)));

    let Some(Event::Failed { error, .. }) = end(2, GenerateRequest { width_px: 7, ..request(2) }).pop() else {
        panic!("it must fail")
    };
    assert!(error.sentence.contains("width"), "{error}");

    let Some(Event::Failed { error, .. }) = end(3, request(2)).pop() else { panic!("it must fail") };
    assert!(error.sentence.contains("a fault in saving"), "{error}");

    // A picture that could not be saved is not lost: the event carries it.
    let events = end(4, request(2));
    assert!(matches!(events.last(), Some(Event::Done { .. })));
    assert!(events.iter().any(|event| matches!(event, Event::Finished { saved: Err(error), picture, .. }
        if error.sentence == "The disk is full" && picture.width_px == 64)));

    assert!(matches!(end(5, request(2)).last(), Some(Event::Done { .. })));
    engine.shut_down();
}

#[test]
fn a_model_can_be_loaded_ahead_and_shutting_down_ends_a_running_job() {
    let engine = spawn(keeping(&Arc::default()), no_assets(), Box::new(|| ())).unwrap();
    engine.send(Command::Preload(ModelRef::Path(PathBuf::from("/nowhere/at/all")))).unwrap();
    engine.send(Command::Preload(ModelRef::Starter)).unwrap();
    let begun = Instant::now();
    let (mut failed, mut ready) = (false, false);
    while !(failed && ready) {
        assert!(begun.elapsed() < PATIENCE);
        match engine.try_event() {
            Some(Event::ModelFailed { .. }) => failed = true,
            Some(Event::ModelReady(info)) => ready = info.model == ModelRef::Starter && info.parameters > 0,
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    let running = job(1, request(500));
    let cancel = running.cancel.clone();
    engine.send(Command::Generate(Box::new(running))).unwrap();
    cancel.cancel();
    engine.shut_down();
}

/// What was kept of jobs, and what was saved.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<KeptParts>>);

#[derive(Default)]
struct KeptParts {
    progress: Option<Vec<u8>>,
    steps: Vec<(String, Vec<u8>)>,
    saved: Vec<(u32, Picture, Recipe)>,
}

impl Keep for Kept {
    fn save(&mut self, job: &Job, index: u32, picture: &Picture, recipe: &Recipe) -> Result<PictureEntry> {
        let mut parts = self.0.lock().unwrap();
        parts.saved.push((index, picture.clone(), recipe.clone()));
        parts.progress = None;
        Ok(PictureEntry {
            id: PictureId(i64::from(index) + 1),
            path: job.pictures_dir.join(format!("{index}.png")),
            created_ms: 0,
            width_px: picture.width_px,
            height_px: picture.height_px,
            recipe: Some(recipe.clone()),
        })
    }

    fn keep_progress(&mut self, job: JobId, bytes: &[u8]) {
        assert_eq!(job, JobId(1));
        self.0.lock().unwrap().progress = Some(bytes.to_vec());
    }

    fn progress(&mut self, _job: JobId) -> Option<Vec<u8>> {
        self.0.lock().unwrap().progress.clone()
    }

    fn keep_steps(&mut self, name: &str, bytes: &[u8]) {
        self.0.lock().unwrap().steps.push((name.to_owned(), bytes.to_vec()));
    }

    fn steps(&mut self, name: &str) -> Option<Vec<u8>> {
        self.0.lock().unwrap().steps.iter().find(|(other, _)| other == name).map(|(_, bytes)| bytes.clone())
    }
}

#[test]
fn a_job_that_was_stopped_goes_on_in_another_engine_where_it_was() {
    let request = GenerateRequest { count: 3, ..request(12) };
    let whole = Kept::default();
    let engine = spawn(whole.clone(), no_assets(), Box::new(|| ())).unwrap();
    engine.send(Command::Generate(Box::new(job(1, request.clone())))).unwrap();
    until_end(&engine, JobId(1), |_| ());
    engine.shut_down();
    assert!(whole.0.lock().unwrap().progress.is_none());

    // Stopped in the second picture, at a moment between two times that progress is kept.
    let stopped = Kept::default();
    let engine = spawn(stopped.clone(), no_assets(), Box::new(|| ())).unwrap();
    let first = job(1, request.clone());
    let cancel = first.cancel.clone();
    engine.send(Command::Generate(Box::new(first))).unwrap();
    let mut last = 0;
    until_end(&engine, JobId(1), |event| {
        if let Event::Step { index: 1, step, .. } = event {
            last = *step;
            if last >= 4 {
                cancel.cancel();
            }
        }
    });
    engine.shut_down();
    assert_eq!(stopped.0.lock().unwrap().saved.len(), 1, "stopped in the second picture");

    let engine = spawn(stopped.clone(), no_assets(), Box::new(|| ())).unwrap();
    let again = Job { done: 1, ..job(1, request) };
    engine.send(Command::Generate(Box::new(again))).unwrap();
    let mut steps = Vec::new();
    until_end(&engine, JobId(1), |event| {
        if let Event::Step { index, step, .. } = event {
            steps.push((*index, *step));
        }
    });
    engine.shut_down();
    assert!(steps[0].0 == 1 && steps[0].1 >= last, "no step is made twice: {steps:?} after {last}");
    let (whole, stopped) = (whole.0.lock().unwrap(), stopped.0.lock().unwrap());
    let pictures =
        |parts: &KeptParts| parts.saved.iter().map(|(index, picture, _)| (*index, picture.clone())).collect();
    let (whole, stopped): (Vec<_>, Vec<_>) = (pictures(&whole), pictures(&stopped));
    assert!(whole == stopped, "the same pictures, each once");
}

#[test]
fn steps_are_seen_and_forked_from_memory_from_the_disk_and_anew() {
    let kept = Kept::default();
    let engine = spawn(kept.clone(), no_assets(), Box::new(|| ())).unwrap();
    engine.send(Command::Generate(Box::new(Job { keeps_steps: true, ..job(1, request(4)) }))).unwrap();
    until_end(&engine, JobId(1), |_| ());
    let parent = kept.0.lock().unwrap().saved[0].2.request.clone();
    assert_eq!(kept.0.lock().unwrap().steps.len(), 1);
    let see = |engine: &EngineHandle, step, cancel: Cancel| {
        engine.send(Command::SeeStep { request: Box::new(parent.clone()), step, cancel }).unwrap();
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE);
            match engine.try_event() {
                Some(Event::StepSeen { request, step: seen, picture }) => {
                    assert_eq!((*request, seen), (parent.clone(), step));
                    return picture;
                }
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    };
    let of_memory = see(&engine, 2, Cancel::default()).unwrap();
    assert_eq!((of_memory.width_px, of_memory.height_px), (64, 64));
    let cancelled = Cancel::default();
    cancelled.cancel();
    assert!(see(&engine, 2, cancelled).unwrap_err().is_cancelled());
    assert!(see(&engine, 9, Cancel::default()).is_err(), "there is no such step");
    let fork = Fork { parent: Box::new(parent.clone()), step: 2 };
    let child = GenerateRequest { guidance_scale: 8.0, fork: Some(fork), ..parent.clone() };
    engine.send(Command::Generate(Box::new(job(1, child.clone())))).unwrap();
    let mut steps = Vec::new();
    until_end(&engine, JobId(1), |event| {
        if let Event::Steps { steps: told, .. } = event {
            steps = told.iter().map(|step| step.step).collect();
        }
    });
    engine.shut_down();
    assert_eq!(steps, [3, 4], "those before are the parent's");
    let branch = kept.0.lock().unwrap().saved[1].1.clone();
    assert!(branch != kept.0.lock().unwrap().saved[0].1);

    // Another engine has nothing in memory: first with the steps of the disk, then without.
    for is_on_disk in [true, false] {
        if !is_on_disk {
            kept.0.lock().unwrap().steps.clear();
        }
        let engine = spawn(kept.clone(), no_assets(), Box::new(|| ())).unwrap();
        assert!(see(&engine, 2, Cancel::default()).unwrap() == of_memory);
        engine.send(Command::Generate(Box::new(job(1, child.clone())))).unwrap();
        until_end(&engine, JobId(1), |_| ());
        engine.shut_down();
        assert!(kept.0.lock().unwrap().saved.last().unwrap().1 == branch);
    }
}
