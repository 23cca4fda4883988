package io.virtnvme.master.nvme;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.nvme.LogPage;
import java.math.BigInteger;

/**
 * SMART / health information of a controller (NVM Express base specification 2.0, 5.16.1.3). All of
 * it is what the device says.
 *
 * @param criticalWarning bits: 0 spare, 1 temperature, 2 reliability, 3 read only, 4 backup
 * @param temperatureKelvin composite temperature
 * @param percentageUsed may exceed 100
 * @param unitsRead in units of 512,000 bytes, as written is
 */
public record HealthLog(
    int criticalWarning,
    int temperatureKelvin,
    int availableSpare,
    int spareThreshold,
    int percentageUsed,
    BigInteger unitsRead,
    BigInteger unitsWritten,
    BigInteger hostReads,
    BigInteger hostWrites,
    BigInteger busyMinutes,
    BigInteger powerCycles,
    BigInteger powerOnHours,
    BigInteger unsafeShutdowns,
    BigInteger mediaErrors,
    BigInteger errorEntries) {
  private static final int PERCENTAGE_USED_OFFSET = 5;
  private static final int BUSY_MINUTES_OFFSET = 96;
  private static final int COUNTER_LENGTH = 16;

  static HealthLog parse(final byte[] data) {
    return new HealthLog(
        data[LogPage.SMART_WARNING_OFFSET] & 0xFF,
        LittleEndian.getUnsignedShort(data, LogPage.SMART_TEMPERATURE_OFFSET),
        data[LogPage.SMART_SPARE_OFFSET] & 0xFF,
        data[LogPage.SMART_SPARE_THRESHOLD_OFFSET] & 0xFF,
        data[PERCENTAGE_USED_OFFSET] & 0xFF,
        counter(data, LogPage.SMART_UNITS_READ_OFFSET),
        counter(data, LogPage.SMART_UNITS_WRITTEN_OFFSET),
        counter(data, LogPage.SMART_READS_OFFSET),
        counter(data, LogPage.SMART_WRITES_OFFSET),
        counter(data, BUSY_MINUTES_OFFSET),
        counter(data, LogPage.SMART_POWER_CYCLES_OFFSET),
        counter(data, LogPage.SMART_POWER_ON_HOURS_OFFSET),
        counter(data, LogPage.SMART_UNSAFE_SHUTDOWNS_OFFSET),
        counter(data, LogPage.SMART_MEDIA_ERRORS_OFFSET),
        counter(data, LogPage.SMART_ERROR_ENTRIES_OFFSET));
  }

  private static BigInteger counter(final byte[] data, final int offset) {
    final byte[] bigEndian = new byte[COUNTER_LENGTH];
    for (int i = 0; i < COUNTER_LENGTH; i++) {
      bigEndian[i] = data[offset + COUNTER_LENGTH - 1 - i];
    }
    return new BigInteger(1, bigEndian);
  }
}
