//! `atelier capacity`: how many devices a load needs, from what the farm has measured.

mod need;
pub mod samples;

use std::process::ExitCode;

use anyhow::{Result, ensure};

use self::{need::Need, samples::Measured};
use crate::{
    client::FarmArgs,
    exit::Usage,
    show::{self, OutputArgs, Table},
};

/// Compute how many devices a load needs, from what the farm has measured so far
#[derive(clap::Args)]
pub struct Args {
    /// Pictures a second that are to be drawn
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    rate: f64,
    /// Share of their time that devices may be busy, above 0 and at most 1; the rest is for peaks and for devices that fail
    #[arg(long = "use", value_name = "SHARE", default_value_t = 0.7)]
    busy: f64,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

/// Prints what a picture costs and what the load needs.
pub async fn run(args: Args) -> Result<ExitCode> {
    if !(args.rate > 0.0 && args.rate.is_finite()) {
        return Err(Usage("--rate: a number of pictures a second above 0".into()).into());
    }
    if !(args.busy > 0.0 && args.busy <= 1.0) {
        return Err(Usage("--use: a share above 0 and at most 1".into()).into());
    }
    let client = args.farm.client()?;
    let measured = Measured::read(&client.metrics().await?);
    ensure!(
        measured.pictures > 0.0 && measured.device_seconds() > 0.0,
        "the coordinator at {} has measured no picture since it started: draw some, then ask again",
        client.place().url
    );
    let need = Need::of(&measured, args.rate, args.busy);
    match args.output.is_json() {
        true => args.output.print(&need)?,
        false => show::print(&text(&measured, &need))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(measured: &Measured, need: &Need) -> String {
    let mut table = Table::new(&["JOBS", "DEVICE SECONDS A PICTURE", "SHARE", "DEVICES"]);
    for kind in &need.kinds {
        table.row(&[
            kind.kind,
            &format!("{:.3}", kind.device_seconds),
            &format!("{:.0} %", kind.share * 100.0),
            &format!("{:.1}", kind.devices),
        ]);
    }
    format!(
        "measured over {:.0} pictures: {:.3} device seconds each\n\n{}\n\
         {} pictures a second at {:.0} % use: {} devices that do everything, or {} in pools for each kind\n\
         {} workers now: {:.2} pictures a second at that use\n",
        measured.pictures,
        need.device_seconds,
        table.text(),
        need.rate,
        need.busy * 100.0,
        need.devices,
        need.devices_in_pools,
        need.workers,
        need.now,
    )
}
