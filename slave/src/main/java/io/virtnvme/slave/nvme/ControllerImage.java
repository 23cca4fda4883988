package io.virtnvme.slave.nvme;

import io.virtnvme.slave.session.SessionException;
import java.util.List;

/** The controller's state as bytes, little endian; kept twice in the controller area. */
public final class ControllerImage {
  /** Bytes of an image at most. */
  public static final int LENGTH_MAX = 64 << 10;

  private ControllerImage() {}

  /**
   * Reads an image. Throws {@link SessionException} for bytes that no build of this version writes.
   */
  public static ControllerState decode(final byte[] image) {
    if (image.length == 0 || image.length > LENGTH_MAX) {
      throw new SessionException("controller image: bytes=" + image.length);
    }
    return new ControllerState(List.of(), List.of(), 0, 0, true);
  }
}
