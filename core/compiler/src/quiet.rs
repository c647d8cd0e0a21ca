//! Conversion of panics in tract to errors, without their messages on stderr.

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook},
    sync::Once,
};

thread_local! {
    /// Records this thread's panic inside [`catch`].
    static NOTED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `f`; a panic inside becomes an `Err` with its message and location.
///
/// The panic hook belongs to the process, so it is replaced permanently by one that is silent on threads inside `catch`
/// and otherwise calls the previous hook.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            let noted = NOTED.try_with(|noted| match noted.try_borrow_mut() {
                Ok(mut noted) if noted.is_some() => {
                    *noted = Some(describe(info));
                    true
                }
                _ => false,
            });
            if noted != Ok(true) {
                before(info);
            }
        }));
    });
    let outer = NOTED.with(|noted| noted.replace(Some(String::new())));
    // State touched by `f` is dropped with it, or owned by the caller, who gets an error instead.
    let result = catch_unwind(AssertUnwindSafe(f));
    let message = NOTED.with(|noted| noted.replace(outer)).unwrap_or_default();
    result.map_err(|payload| if message.is_empty() { text(&*payload).to_string() } else { message })
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(|at| {
        // The path of a dependency's source reveals the build machine; its last parts are enough.
        let parts: Vec<&str> = at.file().rsplit(['/', '\\']).take(3).collect();
        format!(" ({}:{})", parts.into_iter().rev().collect::<Vec<_>>().join("/"), at.line())
    });
    format!("{}{}", text(info.payload()), place.unwrap_or_default())
}

fn text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        let caught = catch(|| -> u8 { panic!("no {}", "way") });
        assert!(caught.is_err_and(|message| message.contains("no way") && message.contains("quiet.rs")));
        assert_eq!(catch(|| 7), Ok(7));
    }

    #[test]
    fn nested_and_concurrent_panics_are_told_apart() {
        let caught: Vec<Result<Result<u8, String>, String>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|n| scope.spawn(move || catch(|| catch(|| -> u8 { panic!("thread {n}") })))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        assert_eq!(caught.len(), 8);
        for (n, outcome) in caught.into_iter().enumerate() {
            assert!(matches!(outcome, Ok(Err(message)) if message.contains(&format!("thread {n}"))));
        }
    }
}
