//! Compiles the contracts with protox, so that no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = ["event", "delivery", "journal", "config", "command", "response"]
        .map(|name| format!("hookrail/v1/{name}.proto"));
    println!("cargo:rerun-if-changed=hookrail");
    let descriptors = protox::compile(files, ["."])?;
    let mut config = prost_build::Config::new();
    // Ordered maps: the same message has the same bytes everywhere.
    config.btree_map(["."]).bytes([".hookrail.v1.Body.inline"]);
    config.compile_fds(descriptors)?;
    Ok(())
}
