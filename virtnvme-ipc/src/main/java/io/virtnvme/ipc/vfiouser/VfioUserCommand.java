package io.virtnvme.ipc.vfiouser;

/** Commands of vfio-user, with the numbers of the specification ("Commands"). Any thread. */
public enum VfioUserCommand {
  VERSION(1),
  DMA_MAP(2),
  DMA_UNMAP(3),
  DEVICE_GET_INFO(4),
  DEVICE_GET_REGION_INFO(5),
  DEVICE_GET_REGION_IO_FDS(6),
  DEVICE_GET_IRQ_INFO(7),
  DEVICE_SET_IRQS(8),
  REGION_READ(9),
  REGION_WRITE(10),
  DMA_READ(11),
  DMA_WRITE(12),
  DEVICE_RESET(13),
  REGION_WRITE_MULTI(15),
  DEVICE_FEATURE(16),
  MIG_DATA_READ(17),
  MIG_DATA_WRITE(18);

  private static final VfioUserCommand[] BY_CODE = new VfioUserCommand[32];

  static {
    for (final VfioUserCommand command : values()) {
      BY_CODE[command.code] = command;
    }
  }

  private final int code;

  VfioUserCommand(final int code) {
    this.code = code;
  }

  /** The number in the header's command field. */
  public int code() {
    return code;
  }

  /** Null for a number that the specification did not know when this was written. */
  public static VfioUserCommand of(final int code) {
    return code < 0 || code >= BY_CODE.length ? null : BY_CODE[code];
  }
}
