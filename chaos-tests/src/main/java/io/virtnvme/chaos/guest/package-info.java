/**
 * Stock QEMU guests for tests: boots a stock Debian kernel under software emulation, runs commands
 * and fio inside it while a test kills processes outside. Every class may be used by any thread of
 * the test; one daemon thread per channel reads what the guest and QEMU say.
 */
package io.virtnvme.chaos.guest;
