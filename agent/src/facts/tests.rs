use std::fs;

use super::*;

/// A file system of a few files, each written as `path = content`.
fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::new(folder.path());
    for (path, content) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    (folder, root)
}

#[test]
fn a_v1_container_sees_its_own_limits_and_not_the_hosts() {
    let (_folder, root) = tree(&[
        ("/proc/meminfo", "MemTotal: 24000000 kB\n"),
        (
            "/proc/self/cgroup",
            "5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n",
        ),
        (
            "/proc/self/mountinfo",
            "20 19 0:20 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
             21 19 0:21 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
             22 19 0:22 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n",
        ),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "58720256\n"),
        ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n"),
        ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
    ]);
    let facts = observe(&root);
    assert_eq!(facts.memory_bytes.value, Some(58_720_256));
    assert_eq!(
        facts.memory_bytes.source,
        "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    );
    assert_eq!(facts.cpu_millis.value, Some(500));
    assert_eq!(facts.cgroup_version.value, Some(1));
}

#[test]
fn a_v1_limit_of_a_group_that_is_out_of_sight_counts() {
    let (_folder, root) = tree(&[
        ("/proc/self/cgroup", "5:memory:/pod/abc\n"),
        (
            "/proc/self/mountinfo",
            "21 19 0:21 /pod/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
        ),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        ),
        (
            "/sys/fs/cgroup/memory/memory.stat",
            "cache 0\nhierarchical_memory_limit 1000000\nhierarchical_memsw_limit 5\n",
        ),
    ]);
    let facts = observe(&root);
    assert_eq!(facts.memory_bytes.value, Some(1_000_000));
    assert_eq!(
        facts.memory_bytes.source,
        "/sys/fs/cgroup/memory/memory.stat"
    );
}

#[test]
fn no_limit_is_none_and_says_where_it_looked() {
    let (_folder, root) = tree(&[
        ("/proc/self/cgroup", "5:memory:/\n4:cpu:/\n"),
        (
            "/proc/self/mountinfo",
            "21 19 0:21 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
             22 19 0:22 / /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n",
        ),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        ),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
        ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
    ]);
    let facts = observe(&root);
    assert_eq!(facts.memory_bytes.value, None);
    assert_eq!(facts.cpu_millis.value, None);
    assert!(facts.cpu_millis.source.contains("/sys/fs/cgroup/cpu"));
}

#[test]
fn in_a_private_v2_namespace_the_mount_is_the_group() {
    let (_folder, root) = tree(&[
        ("/proc/self/cgroup", "0::/\n"),
        (
            "/proc/self/mountinfo",
            "30 29 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - cgroup2 cgroup rw,nsdelegate\n",
        ),
        ("/sys/fs/cgroup/memory.max", "58720256\n"),
        ("/sys/fs/cgroup/cpu.max", "50000 100000\n"),
    ]);
    let facts = observe(&root);
    assert_eq!(facts.memory_bytes.value, Some(58_720_256));
    assert_eq!(facts.cpu_millis.value, Some(500));
    assert_eq!(facts.cgroup_version.value, Some(2));
}

#[test]
fn of_nested_v2_limits_the_tightest_counts() {
    let (_folder, root) = tree(&[
        ("/proc/self/cgroup", "0::/pod.slice/app.scope\n"),
        (
            "/proc/self/mountinfo",
            "30 29 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
        ),
        ("/sys/fs/cgroup/pod.slice/app.scope/memory.max", "max\n"),
        (
            "/sys/fs/cgroup/pod.slice/app.scope/cpu.max",
            "200000 100000\n",
        ),
        ("/sys/fs/cgroup/pod.slice/memory.max", "104857600\n"),
        ("/sys/fs/cgroup/pod.slice/cpu.max", "150000 100000\n"),
        ("/sys/fs/cgroup/cpu.max", "max 100000\n"),
    ]);
    let facts = observe(&root);
    assert_eq!(facts.memory_bytes.value, Some(104_857_600));
    assert_eq!(
        facts.memory_bytes.source,
        "/sys/fs/cgroup/pod.slice/memory.max"
    );
    assert_eq!(facts.cpu_millis.value, Some(1500));
    assert_eq!(facts.cpu_millis.source, "/sys/fs/cgroup/pod.slice/cpu.max");
}

#[test]
fn an_empty_image_still_has_facts() {
    let (_folder, root) = tree(&[]);
    let facts = observe(&root);
    assert_eq!(facts.memory_bytes.value, None);
    assert!(facts.os.source.contains("os-release"));
}

#[test]
fn the_distribution_is_its_id_and_version() {
    let (_folder, root) = tree(&[(
        "/etc/os-release",
        "PRETTY_NAME=\"Debian\"\nVERSION_ID=\"12\"\nID=debian\n",
    )]);
    assert_eq!(observe(&root).os.value.as_deref(), Some("debian 12"));
}
