//! What a shared library says of itself. Loading one runs its constructors, so all that can be known
//! before is known before (P03).

use object::Endianness;
use object::elf::{DT_RPATH, DT_RUNPATH, ET_DYN, FileHeader64, PT_DYNAMIC};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use packets_plugin_api::native::ENTRY;

#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = object::elf::EM_AARCH64;
#[cfg(target_arch = "riscv64")]
const MACHINE: u16 = object::elf::EM_RISCV;
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = object::elf::EM_X86_64;

type Header = FileHeader64<Endianness>;

/// Whether these bytes are a plugin for this machine; if not, why.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err("it is not a shared library (ELF)".to_owned());
    }
    let broken = |error: object::Error| format!("it is a broken shared library: {error}");
    let header = Header::parse(bytes).map_err(|_| "it is not a shared library for a 64-bit machine".to_owned())?;
    let endian = header.endian().map_err(broken)?;
    let little = header.is_little_endian();
    if little != cfg!(target_endian = "little") || header.e_machine.get(endian) != MACHINE {
        return Err(format!("it is for another machine than this one ({})", std::env::consts::ARCH));
    }
    if header.e_type.get(endian) != ET_DYN {
        return Err("it is a program or an object file, not a shared library".to_owned());
    }
    check_paths(header, endian, bytes)?;
    let sections = header.sections(endian, bytes).map_err(broken)?;
    let symbols = sections.symbols(endian, bytes, object::elf::SHT_DYNSYM).map_err(broken)?;
    let is_entry = |symbol: &object::elf::Sym64<Endianness>| {
        use object::read::elf::Sym as _;
        let name = symbols.strings().get(symbol.st_name(endian));
        !symbol.is_undefined(endian) && name.is_ok_and(|name| name == ENTRY.as_bytes())
    };
    if !symbols.iter().any(is_entry) {
        return Err(format!("it has no symbol {ENTRY}: it is no plugin"));
    }
    Ok(())
}

/// A library that names folders of its own to load others from (P02).
fn check_paths(header: &Header, endian: Endianness, bytes: &[u8]) -> Result<(), String> {
    let broken = |error: object::Error| format!("it is a broken shared library: {error}");
    let mut is_dynamic = false;
    for segment in header.program_headers(endian, bytes).map_err(broken)? {
        let file_end = segment.p_offset(endian).saturating_add(segment.p_filesz(endian));
        if file_end > bytes.len() as u64 {
            return Err("it is cut off".to_owned());
        }
        if segment.p_type(endian) != PT_DYNAMIC {
            continue;
        }
        is_dynamic = true;
        for entry in segment.dynamic(endian, bytes).map_err(broken)?.unwrap_or_default() {
            let tag = entry.tag(endian);
            if tag == DT_RPATH || tag == DT_RUNPATH {
                return Err("it names folders to load other libraries from (RPATH or RUNPATH)".to_owned());
            }
        }
    }
    if is_dynamic { Ok(()) } else { Err("it is not a shared library".to_owned()) }
}
