//! `atelier download`: the picture of a request, and its trace.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};

use super::{
    files::{PictureArgs, default_picture, trace_beside, write_whole},
    request::RequestId,
};
use crate::{
    client::FarmArgs,
    show::{self, OutputArgs},
};

/// Save the picture of a request
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    request: RequestId,
    /// Where the picture goes, - is stdout; without it, atelier-XXXXXXXX.png in this folder. A name that ends in .jpg or .webp gets such
    /// a file, without what the PNG says of itself
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    picture: PictureArgs,
    /// Save the trace beside it as well, as NAME.trace.json
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

/// Saves the picture and says where it is; the best so far of a request that is still worked on.
pub async fn run(args: Args) -> Result<ExitCode> {
    let client = args.farm.client()?;
    let view = client.find(&args.request.id).await?;
    if view.image.is_none() {
        let (id, state) = (view.id, view.state.as_str());
        let next = match view.state.is_terminal() {
            true => "trace ID' tells why",
            false => "watch ID' follows it",
        };
        bail!(
            "request {id} is {state} and has no picture: 'atelier {}",
            next.replace("ID", &id.to_string())
        );
    }
    let picture = client.image_to_keep(view.id).await?;
    let out = args.out.unwrap_or_else(|| default_picture(view.id));
    if out == Path::new("-") {
        show::print_raw(&picture)?;
        return Ok(ExitCode::SUCCESS);
    }
    write_whole(&out, &args.picture.file(&out, picture)?)?;
    let mut files = vec![("picture_file", out.clone())];
    if args.trace {
        let trace = trace_beside(&out);
        write_whole(&trace, &client.trace(view.id).await?)?;
        files.push(("trace_file", trace));
    }
    if args.output.is_json() {
        let mut document = serde_json::json!({ "id": view.id });
        for (name, file) in files {
            document[name] = file.display().to_string().into();
        }
        args.output.print(&document)?;
    } else {
        let lines: Vec<String> = files
            .iter()
            .map(|(_, file)| format!("{}\n", file.display()))
            .collect();
        show::print(&lines.concat())?;
    }
    Ok(ExitCode::SUCCESS)
}
