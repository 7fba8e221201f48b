//! CPU time of a process, from `/proc`.

/// Clock ticks a second: what Linux shows to programs, whatever the kernel's own (man 5 proc).
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time that the process has used so far, seconds; 0 when it has gone.
pub(crate) fn seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold spaces: what follows it starts with the state, field 3.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or_default()
    };
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

/// The same of a process and its children.
pub(crate) fn seconds_with_children(pid: u32) -> f64 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    seconds(pid) + children.map(seconds).sum::<f64>()
}

/// The same of all processes with this name.
pub(crate) fn seconds_of(name: &str) -> f64 {
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let is_named = |pid: &u32| {
        let found = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        found.trim_end() == name
    };
    pids.filter(is_named).map(seconds).sum()
}

/// CPU time that this thread has used so far; the first number of the file is nanoseconds.
pub(crate) fn of_this_thread() -> std::time::Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok());
    std::time::Duration::from_nanos(nanoseconds.unwrap_or_default())
}
