//! Compiles the protobuf schema with `protox`, so that nobody has to install `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = [
        "proto/envelope.proto",
        "proto/content.proto",
        "proto/peer.proto",
        "proto/relay.proto",
        "proto/invite.proto",
    ];
    let descriptors = protox::compile(files, ["proto"])?;
    prost_build::Config::new()
        // Large fields are shared, not copied, on their way from the socket to the store.
        .bytes([
            ".tincan.v1.Put",
            ".tincan.v1.Payload",
            ".tincan.v1.Envelope",
            ".tincan.v1.Deposit",
            ".tincan.v1.Append",
            ".tincan.v1.Deliver",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
