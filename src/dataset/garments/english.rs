//! Common English words, from which the tokenizer learns how prompts that are not about garments fall into pieces.

/// Words of the language at large and of pictures, in no order; a word may stand here twice.
pub const WORDS: &str = "
the of and to in is that it was for on are as with his they at be this from have or by one had not but what all were
when we there can an your which their said if do will each about how up out them then she many some so these would other
into has more her two like him see time could no make than first been its who now people my made over did down only way
find use may water long little very after words called just where most know get through back much before go good new
write our used me man too any day same right look think also around another came come work three word must because does
part even place well such here take why things help put years different away again off went old number great tell men
say small every found still between name should home big give air line set own under read last never us left end along
while might next sound below saw something thought both few those always looked show large often together asked house
world going want school important until form food keep children feet land side without boy once animals life enough
took sometimes four head above kind began almost live page got earth need far hand high year mother light parts country
father let night following picture being study second eyes soon times story boys since white days ever paper hard near
sentence better best across during today others however sure means knew try told young miles sun ways thing whole hear
example heard several change answer room sea against top turned learn point city play toward five using himself usually
photo photograph photography portrait studio camera lens focus background foreground light lighting soft shadow shadows
bright dark colour color colours colors pale deep warm cold golden silver grey gray gold bronze ivory cream beige mint
turquoise maroon crimson scarlet olive lavender violet magenta cyan indigo turquoise khaki charcoal burgundy
painting drawing sketch illustration watercolor oil canvas render digital art artist style detailed intricate sharp
high quality resolution masterpiece realistic cinematic vintage modern retro classic minimal elegant beautiful pretty
woman man girl boy person people model face hair eyes smile smiling standing sitting walking running wearing holding
looking street park beach forest mountain mountains river lake ocean sky cloud clouds sunset sunrise night stars moon
snow rain winter summer spring autumn fall flower flowers tree trees grass leaf leaves garden field house houses castle
building buildings bridge road car train boat ship plane bicycle table chair window door wall floor kitchen bedroom cat
dog bird horse fish lion tiger bear wolf fox rabbit butterfly dragon robot space planet rocket fantasy magic
cotton denim leather silk wool linen velvet knit knitted lace satin suede canvas fabric cloth textile sleeve sleeves
collar button buttons zipper pocket pockets hood belt waist hem neck neckline long short slim loose wide narrow tight
casual formal sport sports outdoor party office wedding evening classic basic print printed floral stripe stripes
striped dot dots check checks plaid tartan solid plain logo brand fashion catalogue catalog product clothes clothing
garment garments outfit wear coat blazer sweater cardigan pullover vest suit blouse skirt dress gown jeans trousers pants
leggings shorts sock socks shoe shoes boot boots sneaker sneakers sandal sandals heel heels hat cap beanie scarf glove
gloves tie belt bag backpack purse wallet watch ring necklace bracelet earrings sunglasses glasses umbrella jewellery
front back side view top close closeup flat lay laid lying hanging hanger folded isolated simple clean small large tiny
huge tall wide round square blur blurry bad low ugly worst watermark text signature cropped deformed noise
";
