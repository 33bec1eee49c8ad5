//! The machine's counters and exact waiting, from `/proc` and the kernel's timers; Linux only.

use std::io::{self, Write};
use std::time::Instant;

/// Asks the kernel to wake the calling thread as soon as its timers end, not up to 50 microseconds later.
///
/// # Errors
/// The kernel does not let it.
pub fn sharpen_timers() -> io::Result<()> {
    let thread = std::fs::read_link("/proc/thread-self")?;
    let number = thread.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    std::fs::write(format!("/proc/{number}/timerslack_ns"), "1")
}

/// Sleeps until `due`, if that is to come.
pub fn sleep_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

/// The median time to sync a small append to the disk that holds the temporary folder, in microseconds.
///
/// # Errors
/// The folder cannot be written.
pub fn disk_sync_us() -> io::Result<u128> {
    let path = std::env::temp_dir().join(format!("dhow-bench-{}", std::process::id()));
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..21 {
        file.write_all(&[0; 512])?;
        let begin = Instant::now();
        file.sync_data()?;
        times.push(begin.elapsed().as_micros());
    }
    std::fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// User and system time of a process, from the kernel's account in hundredths of a second; 0 where it is gone.
pub fn process_cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // The state letter is dropped by the parse, so user and system time stand at 10 and 11.
    fields.get(10).zip(fields.get(11)).map_or(0.0, |(user, system)| (user + system) / 100.0)
}
