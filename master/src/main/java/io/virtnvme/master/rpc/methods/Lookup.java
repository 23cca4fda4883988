package io.virtnvme.master.rpc.methods;

import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.ControlPlane;

/** Finds objects by what a caller may call them. */
final class Lookup {
  private Lookup() {}

  /** The bdev of that name, else the one of that UUID (SPDK's alias), else null. */
  static BdevInfo bdev(final ControlPlane controlPlane, final String nameOrUuid) {
    BdevInfo byUuid = null;
    for (final BdevInfo bdev : controlPlane.bdevs()) {
      if (bdev.spec().name().equals(nameOrUuid)) {
        return bdev;
      }
      if (bdev.spec().uuid().toString().equalsIgnoreCase(nameOrUuid)) {
        byUuid = bdev;
      }
    }
    return byUuid;
  }
}
