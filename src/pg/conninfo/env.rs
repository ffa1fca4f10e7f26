//! The environment of the process.

/// How the environment is asked for a variable; tests bring their own.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process. An empty variable counts as unset, as for libpq.
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}
