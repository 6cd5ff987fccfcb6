module ashlar.test/lines

go 1.19
