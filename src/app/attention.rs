//! When to tell the user, who looks elsewhere, that the queue is done.

/// Work that took less is not worth an interruption, in seconds.
const WORTH_TELLING_SECS: f64 = 30.0;

/// Follows the queue from frame to frame.
#[derive(Debug, Default)]
pub struct Attention {
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    at_secs: f64,
    pictures: u64,
    errors: usize,
}

/// How things stand in a frame.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    /// The time, in seconds from anywhere.
    pub now_secs: f64,
    /// Whether a job runs or waits.
    pub is_busy: bool,
    /// Pictures that were made so far.
    pub pictures: u64,
    /// Errors so far.
    pub errors: usize,
    /// Whether the window is in front.
    pub is_seen: bool,
}

impl Attention {
    /// What to tell the user, when a long queue has just come to its end and the window is not in front.
    pub fn watch(&mut self, glance: Glance) -> Option<String> {
        let Glance { now_secs, is_busy, pictures, errors, is_seen } = glance;
        if is_busy {
            self.begun.get_or_insert(Begun { at_secs: now_secs, pictures, errors });
            return None;
        }
        let begun = self.begun.take()?;
        let is_long = now_secs - begun.at_secs >= WORTH_TELLING_SECS;
        (is_long && !is_seen).then(|| sentence(pictures.saturating_sub(begun.pictures), errors > begun.errors))
    }
}

fn sentence(pictures: u64, went_wrong: bool) -> String {
    let made = match pictures {
        0 => "No picture was made".to_owned(),
        1 => "1 picture is finished".to_owned(),
        count => format!("{count} pictures are finished"),
    };
    if went_wrong { format!("{made}. Something went wrong") } else { made }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(now_secs: f64, is_busy: bool, pictures: u64) -> Glance {
        Glance { now_secs, is_busy, pictures, errors: 0, is_seen: false }
    }

    #[test]
    fn a_long_queue_is_told_once_it_is_done() {
        let mut attention = Attention::default();
        assert_eq!(attention.watch(glance(0.0, false, 3)), None);
        assert_eq!(attention.watch(glance(1.0, true, 3)), None);
        assert_eq!(attention.watch(glance(60.0, true, 4)), None, "it goes on");
        assert_eq!(attention.watch(glance(61.0, false, 5)).as_deref(), Some("2 pictures are finished"));
        assert_eq!(attention.watch(glance(62.0, false, 5)), None, "told once");
    }

    #[test]
    fn a_short_one_or_one_that_is_seen_is_not() {
        let mut attention = Attention::default();
        attention.watch(glance(0.0, true, 0));
        assert_eq!(attention.watch(glance(29.0, false, 1)), None);
        attention.watch(glance(30.0, true, 1));
        assert_eq!(attention.watch(Glance { is_seen: true, ..glance(90.0, false, 2) }), None);
    }

    #[test]
    fn errors_are_not_hidden() {
        let mut attention = Attention::default();
        attention.watch(glance(0.0, true, 0));
        let told = attention.watch(Glance { errors: 1, ..glance(40.0, false, 0) });
        assert_eq!(told.as_deref(), Some("No picture was made. Something went wrong"));
    }
}
