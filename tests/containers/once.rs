//! `dockmaster-agent once`: a certificate and a configuration, and then the end.

use std::fs;

use dockmaster_tests::{Container, Image, Master, Network, Run, Setup, require_all};

/// A site in which files have contents of all sizes.
fn deploy(master: &Master, files: &[(&str, &[u8])]) {
    let dir = tempfile::tempdir().unwrap();
    let module = dir.path().join("modules/files");
    for folder in ["classes", "files"] {
        fs::create_dir_all(module.join(folder)).unwrap();
    }
    fs::write(dir.path().join("site.yaml"), "").unwrap();
    let mut class = "resources:\n  - directory: /etc\n".to_owned();
    for (name, content) in files {
        fs::write(module.join("files").join(name), content).unwrap();
        class += &format!("  - {{ file: /etc/{name}, source: {name}, mode: \"0640\" }}\n");
    }
    fs::write(module.join("classes/files.yaml"), class).unwrap();
    let site = dir.path().to_str().unwrap();
    let _ = master.cli(["site", "deploy", site]).ok();
    master.classify("groups: [ { name: files, match: role=files, classes: [files] } ]\n");
}

/// `once` in a container of this network, told where the master is.
fn once(image: &Image, label: &str, master: &Master, network: &Network) -> Run {
    image
        .run(label)
        .label("role", "files")
        .network(network)
        .env("DOCKMASTER_MASTER", &master.address_in(network).to_string())
        .command(&["/dockmaster-agent", "once"])
}

fn pinned(run: Run, master: &Master) -> Run {
    run.env("DOCKMASTER_TRUST", &master.trust().to_string())
}

fn has(container: &Container, files: &[(&str, &[u8])]) {
    for (name, content) in files {
        let path = format!("/etc/{name}");
        assert!(container.file(&path).as_deref() == Some(content), "{path}");
        assert_eq!(container.stat(&path).unwrap().mode, "-rw-r-----", "{path}");
    }
}

#[test]
fn once_brings_files_of_every_size_and_ends_with_0() {
    if !require_all(&["docker", "openssl"]) {
        return;
    }
    let network = Network::create("once");
    let master = Setup::docker(&[&network]).start();
    // Far beyond what a catalog carries itself, and no text: every byte, in an order of its own.
    let large = "a line of a large file\n".repeat(20_000);
    let binary: Vec<u8> = (0..70_000u32)
        .flat_map(|n| (n * 40_503).to_le_bytes())
        .collect();
    let files: [(&str, &[u8]); 4] = [
        ("empty", b""),
        ("small", b"a line\n"),
        ("large", large.as_bytes()),
        ("binary", &binary),
    ];
    deploy(&master, &files);
    let image = Image::shared();

    let by_pin = pinned(once(&image, "pin", &master, &network), &master).start();
    assert_eq!(by_pin.ended(), 0, "{}", by_pin.logs());
    has(&by_pin, &files);

    // The bundle itself, mounted, in place of its pin.
    let bundle = master.data().join("ca/bundle.pem");
    let by_bundle = once(&image, "bundle", &master, &network)
        .option("--volume", &format!("{}:/bundle.pem:ro", bundle.display()))
        .env("DOCKMASTER_TRUST_FILE", "/bundle.pem")
        .start();
    assert_eq!(by_bundle.ended(), 0, "{}", by_bundle.logs());
    has(&by_bundle, &files);

    for container in [&by_pin, &by_bundle] {
        let id = container.id().to_string();
        let subject = container.credentials().print(&["-subject"]);
        assert_eq!(subject, format!("subject=serialNumber={id}"));
        // The container has ended; what it did is on record.
        let node = master.json(["node", "show", &id]);
        assert_eq!(node["report"]["status"], "changed", "{node}");
    }
}

#[test]
fn once_tells_by_its_exit_code_why_there_is_nothing() {
    if !require_all(&["docker"]) {
        return;
    }
    let network = Network::create("once");
    // Its authority may not certify the network's addresses.
    let mut master = Setup::docker(&[]).start();
    let image = Image::shared();
    let run = |label: &str| pinned(once(&image, label, &master, &network), &master).start();

    let refused = run("refused");
    assert_eq!(refused.ended(), 3, "{}", refused.logs());
    let said = refused.logs();
    assert!(said.contains("outside the ranges"), "{said}");

    let settings = once(&image, "settings", &master, &network).start();
    assert_eq!(settings.ended(), 2, "{}", settings.logs());
    let wrong = once(&image, "wrong", &master, &network)
        .env("DOCKMASTER_TRUST", &format!("sha256:{}", "07".repeat(32)))
        .start();
    assert_eq!(wrong.ended(), 1, "{}", wrong.logs());
    assert!(wrong.logs().contains("is pinned"), "{}", wrong.logs());

    master.terminate();
    let away = pinned(once(&image, "away", &master, &network), &master).start();
    assert_eq!(away.ended(), 4, "{}", away.logs());
    let said = away.logs();
    assert!(said.contains("cannot connect to the master"), "{said}");
    assert_eq!(away.file("/run/dockmaster/cert.pem"), None);
}
